"""Python: functions run on one of its own, with the packages of a requirements.txt."""

import ast
import posixpath
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from fnmatch import fnmatch
from typing import Any

from stack.config.requirements import NAME, Requirements, locate_requirements
from stack.config.settings import Settings
from stack.config.source import Function
from stack.config.yaml_loader import Finding
from stack.plan.code_entry import runs_as_is
from stack.plan.image import BaseImages, RuntimeVersion, python_base
from stack.plan.runtime.literal import Literal
from stack.plan.runtime.python_literal import find_literals, import_module_first
from stack.plan.runtime.runtime import Runtime

# The processor and cronsim, by which it reads cron's schedules, need datetime.UTC and StrEnum.
LOWEST = (3, 11)
_TAG = re.compile(r"(?<=:)(3\.\d+)(\.\d+)?(?=$|-)")
# The files beside requirements.txt that it may refer to in ways that only pip knows.
_REFERRED = ("*requirements*.txt", "*constraints*.txt")
# A context and an event.
_PARAMETERS = 2
# Who uses one of these may give a module names that its text does not show.
_MAGIC = frozenset(
    {"__getattr__", "__dict__", "__import__", "eval", "exec", "globals", "locals", "modules", "setattr", "vars"}
)


class PythonRuntime(Runtime):
    """The runtime `python`."""

    name = "python"
    title = "Python"
    recipe = "functions/runtime/python.Dockerfile"
    source = "main.py"
    scaffold = ("main.py", "test_main.py")
    tester = ("{python}", "-m", "pytest")
    debug_port = 5678
    debuggers = 'what speaks to debugpy, such as "Python Debugger: Remote Attach" of VS Code'
    debug_package = "debugpy"
    shared_target = "/opt/nuclio"
    requirements = NAME
    installer = "pip install --requirement /opt/nuclio/{folder}"
    # Python's last word on a module that is nowhere.
    missing_module = re.compile(r"^ *ModuleNotFoundError: No module named '([^'.]+)[^']*'\s*\Z", re.MULTILINE)
    environment = 'os.environ["{}"]'
    nuclio_version = "3.9"
    nuclio_base = "python:{version}"
    nuclio_onbuild = "nuclio/handler-builder-python-onbuild"

    def list_sources(self, handler: str) -> tuple[str, ...]:
        """Return the file of the handler's module, and that of a package of its name."""
        stem = handler.partition(":")[0].replace(".", "/")
        return f"{stem}.py", f"{stem}/__init__.py"

    def choose_version(self, wanted: str, settings: Settings, base_images: BaseImages) -> RuntimeVersion:
        """Choose the image for a version such as 3.12.

        A registry has one for each version; packages have the release's own. A version below the lowest that the
        processor runs on is treated as one that cannot be had.
        """
        there = _TAG.search(settings.images.python) if base_images.is_registry else None
        if there and wanted and _is_high_enough(wanted):
            return RuntimeVersion(_TAG.sub(wanted, python_base(settings, base_images), count=1), wanted, wanted)
        version = there[1] if there else ("" if base_images.is_registry else base_images.archive.python_version)
        return RuntimeVersion(python_base(settings, base_images), version, wanted)

    def explain_version(self, version: RuntimeVersion) -> str:
        """Return a sentence for a person whose function does not get the Python that was asked for."""
        if version.is_as_wanted:
            return ""
        there = f"Python {version.version}" if version.version else "the Python that there is"
        if not _is_high_enough(version.wanted):
            lowest = ".".join(map(str, LOWEST))
            return f"asks for Python {version.wanted} and runs on {there}: the processor needs {lowest} or newer"
        return f"asks for Python {version.wanted} and runs on {there}, the only one that images.source offers here"

    def check_text(self, path: str, text: str) -> tuple[Finding, ...]:
        """Read a source as this machine's own Python does, without running it."""
        try:
            ast.parse(text, path)
        except SyntaxError as error:
            return (Finding("", error.msg, error.lineno or 1, max((error.offset or 1) - 1, 0)),)
        except (ValueError, RecursionError, MemoryError) as error:
            return (Finding("", f"Python cannot read it: {error}", 1, 0),)
        return ()

    def find_literals(self, text: str) -> Iterator[Literal]:
        """Yield the texts in quotes that Python finds, without docstrings and parts of f-strings."""
        try:
            tree = _parse(text.encode(), "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        yield from find_literals(tree, text)

    def import_environment(self, text: str) -> str:
        """Return a source that imports os before all else, unless it does already; nothing where that cannot be."""
        try:
            tree = _parse(text.encode(), "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
        return import_module_first(tree, text, module="os")

    def check_handler(
        self, function: Function, handler: str, *, path: str, source: bytes, version: RuntimeVersion
    ) -> tuple[str, ...]:
        """Return what is wrong with the handler's file.

        An older Python than this one, or the same, reads no syntax that this one does not. Without a path nothing is
        told.
        """
        if not path:
            return ()
        try:
            tree = _parse(source, path)
        except SyntaxError as error:
            where = f"{posixpath.join(function.context, path)}, line {error.lineno or 1}"
            return (f"{where}: SyntaxError: {error.msg}",) if _is_no_newer(version) else ()
        except (ValueError, RecursionError, MemoryError):
            return ()
        name = handler.partition(":")[2]
        bound = {one for node in ast.walk(tree) for one in _bind(node)}
        if not bound & _MAGIC and (wrong := _check_parameters(name, tree)):
            return (f"{posixpath.join(function.context, path)}, {wrong}",)
        if name in bound or "*" in bound or bound & _MAGIC:
            return ()
        return (f"{function.document}: spec.handler: {path} has no {name!r}{_suggest(name, tree)}",)

    def check_requirements(self, function: Function, handler: str) -> tuple[str, ...]:
        """Return the files that requirements.txt names and that are not there."""
        missing = () if runs_as_is(function) else _find_references(function, handler).missing
        return tuple(_tell_missing(function, *one) for one in missing)

    def locate_requirements(self, function: Function, handler: str) -> str:
        """Return the folder of requirements.txt: the handler's, or the function's own."""
        return posixpath.dirname(locate_requirements(handler, [file.path for file in function.files]))

    def write_install(self, handler: str, paths: Collection[str]) -> str:
        """Return a command of pip."""
        path = locate_requirements(handler, paths)
        return f"pip install -r /opt/nuclio/{path}" if path in paths else ""

    def describe_install(self, function: Function, handler: str) -> dict[str, Any]:
        """Return what pip is given."""
        found = self.find_requirements(function, handler)
        return {
            "requirements": [(*paths, _join_target(folder)) for folder, paths in found.items()],
            "requirements_target": _join_target(self.locate_requirements(function, handler)),
            "needs_code": _find_references(function, handler).needs_code,
        }

    def find_requirements(self, function: Function, handler: str) -> dict[str, tuple[str, ...]]:
        """Return the files that pip needs to install what is required, by folder; none if nothing is."""
        paths = [file.path for file in function.files]
        folder = self.locate_requirements(function, handler)
        if posixpath.join(folder, NAME) not in paths:
            return {}
        beside = [path for path in paths if posixpath.dirname(path) == folder]
        named = [path for path in beside if any(fnmatch(posixpath.basename(path), name) for name in _REFERRED)]
        found: dict[str, tuple[str, ...]] = {folder: ()}
        for path in dict.fromkeys((*named, *_find_references(function, handler).others)):
            found[posixpath.dirname(path)] = (*found.get(posixpath.dirname(path), ()), path)
        return found


def _is_high_enough(version: str) -> bool:
    return tuple(map(int, version.split("."))) >= LOWEST


def _parse(source: bytes, path: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, path)


def _is_no_newer(version: RuntimeVersion) -> bool:
    numbers = tuple(int(part) for part in version.version.split(".") if part.isdecimal())
    return bool(numbers) and numbers[:2] <= sys.version_info[:2]


def _bind(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node may give its module, or uses: rather too many than too few."""
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name) | ast.Attribute(attr=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case ast.ExceptHandler(name=str(name)):
            yield name
        case _:
            pass


def _check_parameters(name: str, tree: ast.Module) -> str:
    """Return why a handler cannot be called with a context and an event, where its text makes that certain."""
    node, *others = [node for node in ast.walk(tree) if name in _bind(node)] or [tree]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node not in tree.body:
        return ""
    if others or node.decorator_list:
        return ""
    given = node.args
    most = len(given.posonlyargs) + len(given.args)
    is_enough = most >= _PARAMETERS or given.vararg
    needs_more = most - len(given.defaults) > _PARAMETERS or None in given.kw_defaults
    if is_enough and not needs_more:
        return ""
    return f"line {node.lineno}: {name} is called with two arguments: write def {name}(context, event):"


def _suggest(name: str, tree: ast.Module) -> str:
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if near := get_close_matches(name, functions, n=1, cutoff=0.6):
        return f"; did you mean {near[0]!r}?"
    return f"; functions there: {', '.join(functions) or 'none'}"


def _tell_missing(function: Function, where: str, path: str) -> str:
    place = posixpath.join(function.context, where)
    if path.startswith(".."):
        outside = posixpath.normpath(posixpath.join(function.context, path))
        return f"{place}: {outside} is outside of the function's folder, of which alone images are built"
    return f"{place}: there is no {posixpath.join(function.context, path)}; add it, or take the line out"


def _find_references(function: Function, handler: str) -> Requirements:
    """Return what the requirements.txt that counts refers to."""
    path = locate_requirements(handler, [file.path for file in function.files])
    return next((one for one in function.requirements if one.path == path), Requirements(path))


def _join_target(folder: str) -> str:
    return posixpath.join("/opt/nuclio", folder, "")


RUNTIME = PythonRuntime()
