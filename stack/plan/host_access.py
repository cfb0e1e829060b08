"""Host access: what a function asks of this machine, and whether stack.yaml's `allow` lets it have that.

Whatever starts or builds a function comes by `check_host_access`: tasks, the dashboard and its API alike.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from stack.config.allow import GPU, Allow, clean_path, climbs, is_within
from stack.config.build import Build, find_host_flags
from stack.config.container import SecurityContext
from stack.config.function import Spec
from stack.config.problem import Problem
from stack.config.settings import FILE, Settings
from stack.config.source import FOLDER, Function
from stack.errors import AccessError
from stack.plan.code_entry import Kind, find_origin
from stack.plan.dockerfile import find_second_instruction, split_commands
from stack.plan.image import ALERTMANAGER, CONTROL, DEBIAN, GATEWAY, PROCESSOR, RABBITMQ, STORE, split_reference

_ROOT = "allow: {root: true}"
_BUILDS = "allow: {host_network_builds: true}"
# A source of ADD that Docker's own process fetches, by this machine's network.
_REMOTE = re.compile(r"(?i)(?:^|[\s\"'\[,])(?:https?://|git@|git://|ssh://)")
# Directives that say as whom what follows runs.
_USER = "USER"
_OWN_IMAGES = (PROCESSOR, RABBITMQ, GATEWAY, CONTROL, STORE, ALERTMANAGER, DEBIAN)
_FUNCTION_IMAGE = "nuclio/processor-"


def check_host_access(function: Function, settings: Settings) -> None:
    """Make sure that a function asks for nothing of this machine that it may not have.

    Raises:
        AccessError: it does; each problem names the key and the line that stack.yaml would need.
    """
    problems = [f"{function.document}: {problem}" for problem in find_host_access(function, settings)]
    if problems:
        raise AccessError(problems)


def find_host_access(function: Function, settings: Settings) -> tuple[Problem, ...]:
    """Return what a function asks for and may not have."""
    spec, allow = function.config.spec, settings.allow
    found = (
        *_find_paths(spec, allow),
        *_find_devices(spec, allow),
        *(() if allow.root else _find_root(spec.security_context, spec.build)),
        *_find_builds(spec.build, allow),
        *_find_code(function, allow),
        *_find_image(function.name, spec.build, settings=settings),
    )
    return tuple(Problem(("spec", *one.path), one.text) for one in found)


def _find_paths(spec: Spec, allow: Allow) -> Iterator[Problem]:
    for number, item in enumerate(spec.volumes):
        if host := item.volume.host_path:
            at, path = ("volumes", str(number), "volume", "hostPath", "path"), clean_path(host.path)
            if climbs(host.path):
                yield Problem(at, f"should be a path without '..', not {host.path!r}")
            elif above := next((one for one in allow.host_paths if path != one and is_within(path, one)), None):
                yield Problem(at, f"{path} lies below {above}, which is allowed; mount {above}, and use what is in it")
            elif path not in allow.host_paths:
                yield _refuse(at, f"{path} of this machine", line=f"allow: {{host_paths: [{path}]}}")


def _find_devices(spec: Spec, allow: Allow) -> Iterator[Problem]:
    for number, text in enumerate(spec.devices):
        at, device = ("devices", str(number)), text.partition(":")[0] if text.startswith("/") else text
        if climbs(device):
            yield Problem(at, f"should be a path without '..', not {device!r}")
        elif (clean_path(device) if device.startswith("/") else device) not in allow.devices:
            yield _refuse(at, f"the device {device} of this machine", line=f"allow: {{devices: [{device}]}}")
    if spec.resources.has_gpus and GPU not in allow.devices:
        yield _refuse(("resources", "limits", GPU), "the GPUs of this machine", line=f"allow: {{devices: [{GPU}]}}")


def _find_root(security: SecurityContext, build: Build) -> Iterator[Problem]:
    pairs = {
        "runAsUser": security.run_as_user,
        "runAsGroup": security.run_as_group,
        "fsGroup": security.fs_group,
    }
    for key, number in pairs.items():
        if number == 0:
            yield _refuse(("securityContext", key), "root", line=_ROOT)
    for number, line in enumerate(split_commands(build)[1]):
        if line.kind.upper() == _USER and read_user(line.value) is None:
            at = ("build", "directives", "postCopy", str(number))
            text = f"USER {line.value}: only a number tells that it is not root; write it so, such as USER 1000, or"
            yield Problem(at, f"{text} add to {FILE}: {_ROOT}")


def read_user(text: str) -> str | None:
    """Return the user of a USER instruction as USER:GROUP in numbers; nothing where that is root, or a name."""
    user, _, group = text.strip().partition(":")
    numbers = (user, group or user)
    if not all(re.fullmatch(r"[1-9][0-9]{0,9}", one) for one in numbers):
        return None
    return ":".join(numbers)


def _find_builds(build: Build, allow: Allow) -> Iterator[Problem]:
    for flag in () if allow.host_network_builds else find_host_flags(build.flags):
        yield _refuse(("build", "flags"), f"{flag}: this machine's network in a build", line=_BUILDS)
    for line in (line for part in split_commands(build) for line in part):
        kind = line.kind.upper()
        at = ("build", "commands" if build.commands else "directives")
        if second := find_second_instruction(line):
            text = f"the line {second!r:.60} would be an instruction of its own in the Dockerfile; end the line before"
            yield Problem(at, f"{text} it with \\, or write another command")
        if kind == "ADD" and not allow.host_network_builds and _REMOTE.search(line.value):
            what = f"ADD {line.value:.60}: what Docker itself fetches, by this machine's network"
            yield _refuse(at, f"{what} (RUN with curl or git needs none)", line=_BUILDS)


def _find_code(function: Function, allow: Allow) -> Iterator[Problem]:
    """Find code that is taken from a place of this machine which is neither in functions/ nor allowed."""
    path = _find_local_address(function)
    if not path:
        return
    is_allowed = not climbs(path) and any(is_within(clean_path(path), one) for one in allow.host_paths)
    if path.startswith("/") and is_allowed:
        return
    if not path.startswith(("/", "~")) and climbs_out(function.folder, path):
        text = f"{path} leads out of {FOLDER}/; write the whole path, and add to {FILE}: allow: {{host_paths: [PATH]}}"
        yield Problem(("build", "path"), text)
    elif path.startswith(("/", "~")):
        what = f"code from {path}, which is not below {FOLDER}/"
        yield _refuse(("build", "path"), what, line=f"allow: {{host_paths: [{path}]}}")


def _find_local_address(function: Function) -> str:
    """Return the path of this machine that code is taken from; nothing where it is elsewhere or in the folder."""
    origin = find_origin(function)
    if origin is None:
        return ""
    if origin.kind is Kind.GIT:
        path = re.sub(r"(?i)^file://(localhost)?", "", origin.address)
        is_local = path != origin.address or not re.match(r"[^/]+:", path)
        return path if is_local else ""
    return origin.address if origin.kind is Kind.LOCAL and "://" not in origin.address else ""


def climbs_out(folder: str, path: str) -> bool:
    """Return whether a path, seen from a function's folder, leads out of functions/."""
    place = posixpath.normpath(posixpath.join(folder, path))
    return place == FOLDER or not place.startswith(f"{FOLDER}/")


def _find_image(name: str, build: Build, *, settings: Settings) -> Iterator[Problem]:
    """Find an image's name that is something else's: Tidegate's own programs, a base, or another function."""
    if not build.image:
        return
    given = split_reference(build.image)[0]
    bases = settings.images.python, settings.images.rabbitmq, settings.images.haproxy
    taken = {*_OWN_IMAGES, *(split_reference(f"{settings.images.mirror}{one}")[0] for one in bases)}
    short = _shorten(given)
    others = short.startswith(_FUNCTION_IMAGE) and short != f"{_FUNCTION_IMAGE}{name.lower()}"
    if short.startswith("tidegate/") or short in {_shorten(one) for one in taken} or others:
        yield Problem(("build", "image"), f"{build.image!r} is the name of something else's image; choose another")


def _shorten(repository: str) -> str:
    """Return a repository without the names of Docker's own registry, which mean the same."""
    for prefix in ("docker.io/", "index.docker.io/", "registry-1.docker.io/"):
        repository = repository.removeprefix(prefix)
    return repository.removeprefix("library/")


def _refuse(at: Sequence[str], what: str, *, line: str) -> Problem:
    return Problem(tuple(at), f"asks for {what}, which {FILE} does not allow; add to {FILE}: {line}")
