"""Jinja2: one environment, in which a missing value is an error."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

# Rendered files: path below .stack/ → content.
Files = dict[str, bytes]

TEMPLATES = Path(__file__).parents[2] / "templates"
_UNFIT_FOR_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def fill(path: str, context: dict[str, Any]) -> bytes:
    """Render one template, named by its path below templates/."""
    return _environment().get_template(path).render(context).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Compiled once for all tasks, in the user's own temporary folder: a third of what a plan takes otherwise.
        bytecode_cache=FileSystemBytecodeCache(),
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["quote"] = lambda value: write_flow(value).replace("$", "$$")
    environment.filters["string"] = lambda value: _quote(value).replace("$", "\\$")
    # A text as Python, JavaScript, C++ and YAML write one, and as an argument of the shell.
    environment.filters |= {"text": _quote, "shell": shlex.quote}
    # A value as YAML that no program reads in another way, in one line or in several.
    environment.filters |= {"flow": write_flow, "block": write_block}
    return environment


class _Dumper(yaml.SafeDumper):
    """Writes a value again where it comes again: an anchor is for programs."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_yaml(document: object) -> bytes:
    """Write a document as YAML, for a program that a person looks over the shoulder."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110).encode()


# What some readers of YAML 1.1 take for a truth value, or for none.
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


class _BlockDumper(_Dumper):
    """Quotes each text that might be read as something else, such as the digits 12e4 for a number."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = text[:1].isalpha() and text.isascii() and text.isprintable() and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_BlockDumper.add_representer(str, _represent_text)


def write_block(value: object) -> str:
    """Write a mapping or a list as lines of YAML, without a line's end behind the last."""
    return yaml.dump(value, Dumper=_BlockDumper, sort_keys=False, allow_unicode=True, width=1_000_000).rstrip()


def write_flow(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON that is YAML too; `quote` escapes it for Compose.

    By its number is written what JSON permits as it is, and YAML refuses or takes for the end of a line.
    """
    return _UNFIT_FOR_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", _quote(value, indent))


def _quote(value: object, indent: int | None = None) -> str:
    """Write a value as JSON; `string` escapes it for a Dockerfile."""
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)
