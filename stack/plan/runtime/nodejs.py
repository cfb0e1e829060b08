"""Node.js: functions run on one of its own, with the packages of a package.json."""

import posixpath
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any

from stack.config.packages import LOCKS, NAME
from stack.config.requirements import Requirements
from stack.config.settings import Settings
from stack.config.source import Function
from stack.config.yaml_loader import Finding
from stack.contract import NODEJS
from stack.plan.code_entry import runs_as_is
from stack.plan.image import BaseImages, RuntimeVersion, node_base
from stack.plan.runtime.literal import Literal
from stack.plan.runtime.runtime import Runtime

# What the processor's part in Node.js, and today's amqplib, run on.
LOWEST = 18
_WORD = re.compile(r"[\w$]+")
# What exports names that the text does not have: those of another module, or computed ones.
_PASSED_ON = re.compile(
    r"export\s*\*|exports\s*=\s*(?!\{|function|\(|async|class)|exports\s*\[|assign\(\s*(module\.)?exports|\.\.\.|defineProperty"
)
# Comments, regular expressions and texts, so that a quote in one of them begins no other.
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|(?:(?<=[=(,:;!&|?{}\[])|(?<=return))\s*/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/"
    r"|(?P<literal>'[^'\\\n]*(?:\\.[^'\\\n]*)*'|\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|`[^`\\]*(?:\\.[^`\\]*)*`)",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^\s'\"`\\]+")
# What makes a text a part of a longer one, a tagged one, a key, or a case, as far as it is beside it.
_PART_BEFORE = re.compile(r"(?:[+.'\"`]\s*|\bcase\s+|[\w$)]`?)\Z")
_PART_BEHIND, _BESIDE = (*"+.[:'\"`",), 40
_EXPORTS = re.compile(r"exports\.([\w$]+)\s*=|export\s+(?:async\s+)?(?:function\*?|const|let|var|class)\s+([\w$]+)")
_TAG = re.compile(r"(?<=:)(\d+)((\.\d+)*)(?=$|-)")


class NodejsRuntime(Runtime):
    """The runtime `nodejs`."""

    name = NODEJS
    title = "Node.js"
    recipe = "functions/runtime/nodejs.Dockerfile"
    layer = "nodejs"
    source = "main.js"
    scaffold = ("main.js", "test.js")
    tester = ("node", "--test")
    debug_port = 9229
    debuggers = '"Node.js: Attach" of VS Code, chrome://inspect in a browser, or `node inspect {address}`'
    # Where no npm looks, which removes what no package.json names.
    shared_target = "/opt/node_modules"
    requirements = NAME
    installer = "cd /opt/nuclio/{folder}"
    missing_module = re.compile(r"Cannot find (?:module|package) '((?:@[^'/]+/)?[^'./@:][^'/:]*)")
    # What `node --check` prints: the place, the line of the source with marks below it, and the error.
    checked = re.compile(r"/checked/(?P<file>\S+):(?P<line>\d+)\n(?s:.{0,2000}?)(?P<error>SyntaxError: [^\n]*)")
    environment = "process.env.{}"
    nuclio_version = "10.20"
    nuclio_base = "node:10.20-alpine"
    nuclio_onbuild = "nuclio/handler-builder-nodejs-onbuild"

    def list_sources(self, handler: str) -> tuple[str, ...]:
        """Return the file that the handler names, and what else Node.js finds by that name."""
        stem, file = self.files.find_stem(handler), posixpath.normpath(handler.partition(":")[0])
        if ":" in handler and file.endswith(self.files.suffixes):
            return (file,)
        return (*(stem + suffix for suffix in self.files.suffixes), f"{stem}/index.js", f"{stem}/{NAME}")

    def choose_version(self, wanted: str, settings: Settings, base_images: BaseImages) -> RuntimeVersion:
        """Choose the image for a version such as 22: a registry has one for each, packages have the release's own."""
        image = node_base(settings, base_images)
        if not base_images.is_registry:
            return RuntimeVersion(image, base_images.archive.node_version, wanted, self.name)
        there = _TAG.search(settings.images.node)
        if there and wanted and int(wanted) >= LOWEST:
            return RuntimeVersion(_TAG.sub(wanted, image, count=1), wanted, wanted, self.name)
        return RuntimeVersion(image, there[1] if there else "", wanted, self.name)

    def explain_version(self, version: RuntimeVersion) -> str:
        """Return a sentence for a person whose function does not get the Node.js that was asked for."""
        if version.is_as_wanted:
            return ""
        there = f"Node.js {version.version}" if version.version else "the Node.js that there is"
        if int(version.wanted) < LOWEST:
            return f"asks for Node.js {version.wanted} and runs on {there}: the processor needs {LOWEST} or newer"
        return f"asks for Node.js {version.wanted} and runs on {there}, the only one that images.source offers here"

    def check_text(self, path: str, text: str) -> tuple[Finding, ...]:
        """Return nothing."""
        return ()

    def find_literals(self, text: str) -> Iterator[Literal]:
        """Yield the texts in quotes, outside of comments and regular expressions."""
        line, seen = 1, 0
        for match in _TOKEN.finditer(text):
            start, end = match.span("literal")
            if start < 0 or not _PLAIN.fullmatch(text, start + 1, end - 1):
                continue
            line, seen = line + text.count("\n", seen, start), start
            before, behind = text[max(0, start - _BESIDE) : start], text[end : end + _BESIDE].lstrip()
            is_part = _PART_BEFORE.search(before) or behind.startswith(_PART_BEHIND)
            yield Literal(start, end, line, text[start + 1 : end - 1], is_whole=not is_part)

    def check_handler(
        self, function: Function, handler: str, *, path: str, source: bytes, version: RuntimeVersion
    ) -> tuple[str, ...]:
        """Return what is wrong with the handler's file, or with the Node.js that it is to run on.

        A name that is nowhere in the text is no export of it, unless that passes on what another file exports.
        """
        if version.runtime == self.name and version.version.isdecimal() and int(version.version) < LOWEST:
            return (
                f"{function.document}: spec.runtime: this system's packages have Node.js {version.version}, and the "
                f"processor needs {LOWEST} or newer; `images.source: registry` in stack.yaml has it pulled",
            )
        name, text = handler.rpartition(":")[2], source.decode(errors="replace")
        if not path or name in _WORD.findall(text) or _PASSED_ON.search(text):
            return ()
        found = sorted({one for match in _EXPORTS.finditer(text) for one in match.groups() if one})
        near = get_close_matches(name, found, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"exports there: {', '.join(found) or 'none'}"
        return (f"{function.document}: spec.handler: {path} has no {name!r}; {hint}",)

    def check_requirements(self, function: Function, handler: str) -> tuple[str, ...]:
        """Return where package.json is no JSON; npm tells all else."""
        found = self._find_packages(function, handler)
        is_wrong = found.problem and not runs_as_is(function)
        return (f"{function.folder}/{found.path}, {found.problem}",) if is_wrong else ()

    def locate_requirements(self, function: Function, handler: str) -> str:
        """Return the folder of package.json: the handler's, or the function's own."""
        return self._find_folder(handler, {file.path for file in function.files})

    def write_install(self, handler: str, paths: Collection[str]) -> str:
        """Return a command of npm."""
        folder = self._find_folder(handler, paths)
        is_there = posixpath.join(folder, NAME) in paths
        return f"cd {posixpath.join('/opt/nuclio', folder).rstrip('/')} && npm install" if is_there else ""

    def _find_folder(self, handler: str, paths: Collection[str]) -> str:
        folder = posixpath.dirname(self.files.find_stem(handler))
        return folder if posixpath.join(folder, NAME) in paths else ""

    def describe_install(self, function: Function, handler: str) -> dict[str, Any]:
        """Return what npm is given: the files that it goes by, and the folder that they are in."""
        found = self._find_packages(function, handler)
        path, target = found.path, posixpath.join("/opt/nuclio", posixpath.dirname(found.path), "")
        is_there = any(file.path == path for file in function.files)
        return {
            "packages": [path, *found.others, target] if is_there else [],
            "packages_target": target,
            "has_lock": any(posixpath.basename(one) in LOCKS for one in found.others),
            "needs_code": found.needs_code,
            "checked": self._find_checked(function, handler),
        }

    def _find_packages(self, function: Function, handler: str) -> Requirements:
        """Return what is known of the package.json that counts."""
        path = posixpath.join(self.locate_requirements(function, handler), NAME)
        return next((one for one in function.requirements if one.path == path), Requirements(path))

    def _find_checked(self, function: Function, handler: str) -> str:
        """Return the file that Node.js is to read before anything is started: the handler's, if it is here."""
        sources = [path for path in self.list_sources(handler) if path.endswith(self.files.suffixes)]
        if function.config.spec.build.function_source_code:
            return sources[0]
        paths = {file.path for file in function.files}
        return next((path for path in sources if path in paths), "")


RUNTIME = NodejsRuntime()
