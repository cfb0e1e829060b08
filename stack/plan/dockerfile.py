"""Dockerfile instructions of a function's author, in Nuclio's order."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stack.config.build import POST_COPY, Build, Directive
from stack.config.source import IGNORED_FOLDERS, IGNORED_SUFFIX
from stack.plan.base_image import BaseImage, Kind
from stack.plan.function import FunctionPlan, inline_source, processor_document
from stack.plan.image import RUNTIME_LABEL, VERSION_LABEL, WANTED_LABEL
from stack.plan.runtime.python import LOWEST
from stack.plan.template import fill

# A check is a process in the container, and takes as much of the machine as half a start: twenty functions that start
# together would do little else if they were checked more often. Who waits for a start asks the function itself.
HEALTH_CHECK = (
    "HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --start-interval=10s --retries=2 "
    'CMD ["processor", "--health"]'
)
# What pip and npm keep of their downloads from one build to the next, and out of the image.
_CACHES = {"pip": "--mount=type=cache,target=/root/.cache/pip", "npm": "--mount=type=cache,target=/root/.npm"}
# Options of a RUN instruction stand before its command.
_RUN = re.compile(r"(?P<options>(?:--[a-z]+(?:=\S+)?\s+)*)(?P<command>.*)", re.DOTALL)
# What makes the next line part of an instruction, as BuildKit reads it.
_CONTINUED = re.compile(r"(?:^|[^\\])\\[ \t]*$")
# A here-document that is a whole command: its word, which ends it too.
_DOCUMENT = re.compile(r"<<-?(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)(?=\s|$)(?!.*<<)")
# Where a build sees the site's certificates.
_CA = "/run/secrets/ca.pem"


def split_commands(build: Build) -> tuple[tuple[Directive, ...], tuple[Directive, ...]]:
    """Return the instructions before and after the function's files are copied.

    As in Nuclio, commands run before the copy unless `@nuclio.postCopy` stands before them, a backslash at a line's end
    glues the next one on, and directives count only where no commands are given.
    """
    if not build.commands:
        return tuple(build.directives.pre_copy), tuple(build.directives.post_copy)
    before: list[Directive] = []
    after: list[Directive] = []
    target = before
    for command in _join(build.commands):
        if command == POST_COPY:
            target = after
        else:
            target.append(Directive(kind="RUN", value=command))
    return tuple(before), tuple(after)


def _join(commands: Iterable[str]) -> Iterable[str]:
    held = ""
    for command in commands:
        text = held + command.strip()
        held = ""
        if text.endswith("\\"):
            held = text[:-1].rstrip() + " "
        elif text:
            yield text
    if held.strip():
        yield held.strip()


def find_second_instruction(line: Directive) -> str:
    """Return the line of an author's instruction that would be another one; nothing where there is none.

    A line goes on after a backslash, and within a here-document that is all of a command.
    """
    first, *rest = line.value.rstrip().split("\n")
    if line.kind.upper() == "RUN" and (document := _DOCUMENT.match(first)):
        ends = [number for number, text in enumerate(rest) if text.strip("\t\r") == document["word"]]
        return next(iter(rest[ends[0] + 1 :]), "") if ends else ""
    goes_on = _CONTINUED.search(first.rstrip("\r"))
    for text in rest:
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        if not goes_on:
            return text
        goes_on = _CONTINUED.search(text.rstrip("\r"))
    return ""


def ca_context(has_ca: bool) -> dict[str, str]:
    """Return what makes a RUN instruction trust the site's certificates, which are never copied into the image."""
    if not has_ca:
        return {"ca_mount": "", "ca_env": ""}
    return {
        "ca_mount": f"--mount=type=secret,id=ca,target={_CA} ",
        "ca_env": f"PIP_CERT={_CA} SSL_CERT_FILE={_CA} NODE_EXTRA_CA_CERTS={_CA} ",
    }


def find_caches(name: str, *, is_fetched: bool) -> dict[str, str]:
    """Return the mounts of the caches of pip and npm.

    Code from elsewhere has its own, or it could leave something for others.
    """
    own = {tool: f"{mount},id={tool}-of-fetched-{name}" for tool, mount in _CACHES.items()}
    return own if is_fetched else _CACHES


def write_instruction(line: Directive, *, has_ca: bool, caches: Mapping[str, str] = _CACHES) -> str:
    """Write an author's instruction; commands are given the site's certificates to trust, and pip or npm its cache."""
    kind = line.kind.upper()
    match = _RUN.match(line.value.strip())
    if kind != "RUN" or not match:
        return f"{kind} {line.value}"
    options, command = match["options"], match["command"]
    context = ca_context(has_ca)
    cache = "".join(f"{mount} " for tool, mount in caches.items() if tool in command)
    # Neither a list of words nor a here-document is a line of the shell's that could be added to.
    is_line = has_ca and not command.startswith(("[", "<<"))
    environment = f"export {context['ca_env'].rstrip()}; " if is_line else ""
    return f"{kind} {context['ca_mount']}{cache}{options}{environment}{command}"


# The user whom functions run as, by number: a base of the author's may not know the name yet.
FUNCTION_USER = 65532
_OWNER = f"--chown={FUNCTION_USER}:{FUNCTION_USER} "

_TEMPLATES = "functions/NAME"
_NAMES = ("Dockerfile", "Dockerfile.dockerignore")

# By a function's name: all that its package depends on, and the package.
_rendered: dict[str, tuple[tuple[object, ...], dict[str, bytes]]] = {}


def render_package(plan: FunctionPlan, base_image: BaseImage, *, processor: str, has_ca: bool) -> dict[str, bytes]:
    """Render what an image is built with besides the function's own files: path below the function's folder → content.

    `processor` is the image of the processor that goes with the foundation's Python. What was rendered last of a
    function is remembered: most are asked for as they were deployed, and then as they are in their folders.
    """
    paths = [file.path for file in plan.function.files]
    # The text, since to Python 1 equals true, and two mappings are equal in whatever order.
    config = plan.function.config.model_dump_json(exclude_unset=True)
    key = (
        config,
        plan.function.origin,
        plan.handler,
        plan.namespace,
        paths,
        plan.function.requirements,
        [file.path for file in plan.function.shared],
        base_image,
        processor,
        has_ca,
    )
    known = _rendered.get(plan.name)
    if known is None or known[0] != key:
        _rendered[plan.name] = known = (key, _render(plan, base_image, processor=processor, has_ca=has_ca))
    return known[1].copy()


def _render(plan: FunctionPlan, base_image: BaseImage, *, processor: str, has_ca: bool) -> dict[str, bytes]:
    source = inline_source(plan)
    context = _author_context(plan, has_ca=has_ca) | {
        "foundation": base_image,
        "processor": processor,
        "lowest": LOWEST,
        "runtime_label": RUNTIME_LABEL,
        "wanted_label": WANTED_LABEL,
        "version_label": VERSION_LABEL,
        "owner": "" if base_image.kind is Kind.NUCLIO else _OWNER,
        "health_check": HEALTH_CHECK,
        "source_path": source[0] if source else "",
        **ca_context(has_ca),
    }
    files = {name: fill(f"{_TEMPLATES}/{name}", context) for name in _NAMES}
    files["processor.yaml"] = processor_document(plan).encode()
    if source:
        files[f"source/{source[0]}"] = source[1]
    return files


def _choose_owner(plan: FunctionPlan) -> str:
    """Return the user and group that a function runs as, by number."""
    security = plan.spec.security_context
    user = FUNCTION_USER if security.run_as_user is None else security.run_as_user
    return f"{user}:{user if security.run_as_group is None else security.run_as_group}"


def _list_installed(plan: FunctionPlan) -> Iterator[str]:
    """Yield the folders beside a function's files that are not copied, since the image installs what they hold."""
    said, made = plan.runtime.files.installed or ("", "")
    for folder, name in (posixpath.split(file.path) for file in plan.function.files):
        if name == said and made not in folder.split("/"):
            yield posixpath.join(folder, made)


def _list_shared(plan: FunctionPlan) -> list[list[str]]:
    """Return the arguments of COPY for each folder of what is shared."""
    folders: dict[str, list[str]] = {}
    for file in plan.function.shared:
        folders.setdefault(posixpath.dirname(file.path), []).append(file.path)
    return [[*paths, posixpath.join(plan.runtime.shared_target, folder, "")] for folder, paths in folders.items()]


def _author_context(plan: FunctionPlan, *, has_ca: bool) -> dict[str, Any]:
    before, after = split_commands(plan.spec.build)
    caches = find_caches(plan.name, is_fetched=bool(plan.function.origin))
    return {
        "pip_cache": caches["pip"],
        "npm_cache": caches["npm"],
        "args": {name: value for name, value in plan.spec.build.args.items() if value},
        "before": [write_instruction(line, has_ca=has_ca, caches=caches) for line in before],
        "after": [write_instruction(line, has_ca=has_ca, caches=caches) for line in after],
        "shared": _list_shared(plan),
        "folders": plan.spec.own_folders,
        "folder_owner": _choose_owner(plan),
        "sets_user": any(line.kind.upper() == "USER" for line in after),
        "recipe": plan.runtime.recipe,
        **plan.runtime.describe_install(plan.function, plan.handler),
        "title": plan.repository,
        "description": " ".join(plan.spec.description.split()),
        "ignored_folders": sorted(IGNORED_FOLDERS),
        "installed_folders": sorted(_list_installed(plan)),
        "ignored_suffix": IGNORED_SUFFIX,
    }
