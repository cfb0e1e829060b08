"""What the oldest Python that runs Tidegate refuses, and newer ones do not."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from types import MappingProxyType
from typing import Any

import stack


def find_dataclasses() -> Iterator[Any]:
    for module in walk_packages(stack.__path__, "stack."):
        if not module.name.endswith("__main__"):
            yield from filter(is_dataclass, vars(import_module(module.name)).values())


def test_defaults_of_dataclasses_have_a_hash_in_python_3_11() -> None:
    """A mapping proxy and a slice have one since 3.12, and 3.11 takes what has none for mutable."""
    found = {
        (one, field.name)
        for one in find_dataclasses()
        for field in fields(one)
        if isinstance(field.default, MappingProxyType | slice)
    }
    assert not found
