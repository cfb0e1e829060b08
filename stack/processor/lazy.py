"""Modules that are loaded when something of them is first used, and not when they are imported.

importlib's LazyLoader cannot do it: an import statement that finds its module looks at it, and so has it loaded.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_LOOKUP = "__getattr__"


def postpone(name: str) -> None:
    """Have a module wait for the first look at what is in it, whoever imports it from now on."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:
        return
    module = sys.modules[name] = module_from_spec(spec)
    vars(module)[_LOOKUP] = _Lookup(module, spec)
    package, _, own = name.rpartition(".")
    if package:
        # An import that finds the module there does not tell its package.
        setattr(import_module(package), own, module)


class _Lookup:
    """What Python asks for what a module does not have; once it is loaded, nothing is asked any more."""

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module = module
        self._spec = spec
        self._lock = RLock()
        self._is_begun = False

    def __call__(self, name: str) -> Any:
        with self._lock:
            if not self._is_begun and self._spec.loader:
                self._is_begun = True
                self._spec.loader.exec_module(self._module)
                del vars(self._module)[_LOOKUP]
        try:
            return vars(self._module)[name]
        except KeyError:
            raise AttributeError(f"module {self._spec.name!r} has no attribute {name!r}") from None
