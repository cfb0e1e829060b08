"""Building images with BuildKit, by bake: many together by one client, which takes half of what one for each takes."""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from python_on_whales.exceptions import DockerException

from stack.docker.client import PROVISION
from stack.docker.driver import docker_cli, follow_lines
from stack.errors import BuildError, EngineError
from stack.state.host import PROXIES

# Flags of `docker build`, as BuildKit's bake calls them: such with a list of values, with one, and with none.
_LISTS = {"--cache-from": "cache-from", "--no-cache-filter": "no-cache-filter", "--platform": "platforms"}
_LISTS |= {"--ulimit": "ulimits"}
_VALUES = {"--shm-size": "shm-size"}
_SWITCHES = {"--no-cache": "no-cache", "--pull": "pull"}
_PAIRS = {"--build-arg": "args", "--label": "labels"}
# What not every release of bake knows, and what `docker build` of python-on-whales does not.
_NOT_BAKED, _BAKED_ONLY = ("--add-host", "--network"), ("--no-cache-filter", "--shm-size", "--ulimit")
# Later releases ask before they read files outside of the folder that they run in.
_NO_QUESTIONS = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
# A line of a log: the number of its step and, where the step begins, whose it is.
_LINE = re.compile(r"#(?P<step>\d+) (?:\[(?P<target>[\w-]+)[\] ])?")


@dataclass(frozen=True)
class Build:
    """What an image is built of; every path is absolute. `flags` are those of `docker build`, each with its value."""

    tags: tuple[str, ...]
    dockerfile: Path
    context: Path
    contexts: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[tuple[str, str], ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return it as a target of bake."""
        target: dict[str, Any] = {
            "context": str(self.context),
            "dockerfile": str(self.dockerfile),
            "contexts": {name: str(path) for name, path in self.contexts.items()},
            "args": {**self.args, **{name: os.environ[name] for name in PROXIES if os.environ.get(name)}},
            "secret": self.listed_secrets,
            "tags": list(self.tags),
            "output": ["type=docker"],
        }
        for flag, value in self.flags:
            _add_flag(target, flag, value=value)
        return target

    @property
    def listed_secrets(self) -> list[str]:
        """Return the secrets as BuildKit is told of them."""
        return [f"id={name},src={path}" for name, path in self.secrets.items()]

    def find_values(self, flag: str) -> list[str]:
        """Return the values of a flag."""
        return [value for name, value in self.flags if name == flag]


def _add_flag(target: dict[str, Any], flag: str, *, value: str) -> None:
    if key := _PAIRS.get(flag):
        name, equals, text = value.partition("=")
        target.setdefault(key, {})[name] = text if equals else os.environ.get(name, "")
    elif key := _LISTS.get(flag):
        target.setdefault(key, []).extend([value] if flag == "--ulimit" else value.split(","))
    elif key := _VALUES.get(flag):
        target[key] = value
    elif key := _SWITCHES.get(flag):
        target[key] = True


def build_image(build: Build) -> Iterator[str]:
    """Build an image and yield the lines of the log as they come.

    Raises:
        BuildError: it failed; the message ends with the last lines.
    """
    flags = {name for name, _ in build.flags}
    if not flags.intersection(_NOT_BAKED):
        return _bake({"image": build}, f"The image {build.tags[0]} could not be built")
    if refused := sorted(flags.intersection(_BAKED_ONLY)):
        raise BuildError(f"{', '.join(refused)} cannot stand beside {' or '.join(_NOT_BAKED)}; leave out one of them.")
    return _build(build)


def build_images(builds: Mapping[str, Build]) -> Iterator[tuple[str, str]]:
    """Build images by the name of what each is for, together; yield the lines of the log with whose they are.

    Raises:
        BuildError: one or more failed, and others may not have been tried.
    """
    yield from sort_lines(builds, _bake(builds, "The images could not be built together"))


def describe(builds: Iterable[Build]) -> str:
    """Return builds as a file of bake, in JSON; their targets are t0, t1 and so on, since not every name may be one."""
    targets = {f"t{number}": one.describe() for number, one in enumerate(builds)}
    # Text is a template in these files.
    return json.dumps({"target": targets}).replace("${", "$${").replace("%{", "%%{")


def sort_lines(names: Iterable[str], lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield whose each line of a log is, and the line with that name; one that is no one's is left out."""
    targets, owners = {f"t{number}": name for number, name in enumerate(names)}, dict[str, str]()
    for line in lines:
        if not (match := _LINE.match(line)):
            continue
        if name := targets.get(match["target"]):
            owners[match["step"]] = name
            line = line.replace(f"[{match['target']}", f"[{name}", 1)
        if owner := owners.get(match["step"]):
            yield owner, line


def _bake(builds: Mapping[str, Build], failure: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, _blaming_buildx():
        file.write(describe(builds.values()))
        file.flush()
        targets = [f"t{number}" for number in range(len(builds))]
        lines = docker_cli.buildx.bake(
            targets, files=[file.name], progress="plain", variables=_NO_QUESTIONS, stream_logs=True
        )
        yield from follow_lines(lines, failure)


def _build(build: Build) -> Iterator[str]:
    target = build.describe()
    hosts = (value.replace("=", ":", 1).split(":", 1) for value in build.find_values("--add-host"))
    with _blaming_buildx():
        lines = docker_cli.buildx.build(
            build.context,
            file=build.dockerfile,
            tags=list(build.tags),
            build_contexts=dict(build.contexts),
            secrets=build.listed_secrets,
            build_args=target["args"],
            labels=target.get("labels", {}),
            platforms=target.get("platforms"),
            cache_from=[{"type": "registry", "ref": ref} for ref in target.get("cache-from", ())] or None,
            cache="no-cache" not in target,
            pull="pull" in target,
            add_hosts=dict((host, address) for host, address in hosts),
            network=next(iter(build.find_values("--network")), None),
            load=True,
            progress="plain",
            stream_logs=True,
        )
        yield from follow_lines(cast(Iterator[str], lines), f"The image {build.tags[0]} could not be built")


@contextmanager
def _blaming_buildx() -> Iterator[None]:
    """Tell a missing Buildx, which is not asked for before each build, from a build that fails."""
    try:
        yield
    except BuildError:
        try:
            docker_cli.buildx.version()
        except DockerException:
            raise EngineError(f"Docker Buildx, which builds images, is not installed. {PROVISION}") from None
        raise
