"""Texts in quotes of a Python source, by its syntax tree, and an import that comes before all else."""

import ast
from collections.abc import Iterator
from itertools import accumulate, takewhile

from stack.plan.runtime.literal import Literal

_QUOTES = ("'", '"')


def find_literals(tree: ast.Module, text: str) -> Iterator[Literal]:
    """Yield the texts in simple quotes on one line; columns of a tree are bytes, places of literals characters."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    found = []
    for node, is_whole in _list_texts(tree):
        line = lines[node.lineno - 1]
        begin, end = _count(line, node.col_offset), _count(line, node.end_col_offset or 0)
        segment = line[begin:end]
        if segment[:1] in _QUOTES and segment[1:-1] == node.value and segment[-1] == segment[0]:
            start = starts[node.lineno - 1]
            found.append(Literal(start + begin, start + end, node.lineno, str(node.value), is_whole))
    yield from sorted(found, key=lambda one: one.start)


def _count(line: str, column: int) -> int:
    return column if line.isascii() else len(line.encode()[:column].decode(errors="replace"))


def _list_texts(tree: ast.Module) -> Iterator[tuple[ast.Constant, bool]]:
    """Yield the constants that are texts, and whether an expression may take the place of each."""
    parts = set[ast.AST]()
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr() | ast.MatchValue() | ast.BinOp():
                parts.update(ast.walk(node))
            case ast.Attribute() | ast.Expr():
                parts.add(node.value)
            case ast.Constant(value=str()) if node.lineno == node.end_lineno:
                yield node, node not in parts
            case _:
                pass


def import_module_first(tree: ast.Module, text: str, *, module: str) -> str:
    """Return a source that imports a module above its first statement; nothing where its name has another meaning."""
    if any(_gives(node, module) for node in ast.walk(tree)):
        return ""
    body = [one for one in tree.body if not _is_preamble(one)]
    imports = list(takewhile(lambda one: isinstance(one, ast.Import | ast.ImportFrom), body))
    if any(isinstance(one, ast.Import) and (module, None) in _list_names(one) for one in imports):
        return text
    first = body[0] if body else None
    preamble = max((one.end_lineno or 0 for one in tree.body if _is_preamble(one)), default=0)
    place = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))]) if first else 0
    if place <= preamble:
        return ""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    return "\n".join([*lines[: place - 1], f"import {module}{end}{lines[place - 1]}", *lines[place:]])


def _list_names(node: ast.Import) -> list[tuple[str, str | None]]:
    return [(one.name, one.asname) for one in node.names]


def _gives(node: ast.AST, name: str) -> bool:
    """Return whether a node gives a name to something, other than by an import."""
    match node:
        case ast.arg(arg=found) | ast.Name(id=found, ctx=ast.Store()) | ast.FunctionDef(name=found):
            return found == name
        case ast.ClassDef(name=found) | ast.AsyncFunctionDef(name=found) | ast.alias(asname=found):
            return found == name
        case _:
            return False


def _is_preamble(node: ast.stmt) -> bool:
    """Return whether that must come before all else: a docstring, or what is imported from the future."""
    return (isinstance(node, ast.ImportFrom) and node.module == "__future__") or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
