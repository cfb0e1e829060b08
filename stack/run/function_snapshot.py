"""snapshots: what files tell of a function, read again only when one of them is another."""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stack.config.runtime import runtime_of
from stack.config.settings import FILE as SETTINGS
from stack.config.shared import SHARED
from stack.config.source import FOLDER, IGNORED_FOLDERS, function_folders, load_function
from stack.docker.stack import Stack
from stack.errors import AccessError, StackError
from stack.plan.function import FunctionPlan, inline_source, plan_function
from stack.plan.host_access import check_host_access
from stack.plan.key_hint import Publisher
from stack.plan.scale import choose_replicas
from stack.state.deploy_log import Attempt, Result, load_attempts
from stack.state.deployment import Deployment, explain_folder, find_deployment, list_deployed
from stack.state.replicas import load_replicas
from stack.state.workspace import Workspace

# What is watched below .stack/state/; code that is fetched is so by a deploy, which has a log.
WATCHED = ("functions", "deploys", "replicas")

_DIGITS = 16

# The path, the time and the size of each file.
_Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class FunctionSnapshot:
    """A function as its files tell of it: its folder's plan, or why there is none, and what runs of it."""

    name: str
    plan: FunctionPlan | None
    problem: str
    source: str
    source_path: str
    deployment: Deployment | None
    deployed: FunctionPlan | None
    attempts: tuple[Attempt, ...]
    replicas: int
    """How many containers there should be."""
    version: str
    """A digest of its configuration and its files."""
    note: str = ""
    """What to know of what is deployed, where its folder does not hold that."""
    refusal: str = ""
    """Why what is deployed does not run: stack.yaml does not allow what it asks for of this machine."""

    @property
    def is_being_deployed(self) -> bool:
        """Return whether a deploy goes on, of which no file tells when it is killed."""
        return bool(self.attempts) and self.attempts[-1].result is Result.RUNNING


@dataclass
class SnapshotCache:
    """The snapshots of a workspace's functions."""

    _known: dict[str, tuple[_Stamp, FunctionSnapshot]] = field(default_factory=dict)

    def load_all(self, stack: Stack) -> tuple[FunctionSnapshot, ...]:
        """Return a snapshot of every function, by name."""
        folders = function_folders(stack.workspace.root)
        known, self._known = self._known, {}
        for name in sorted({*folders, *list_deployed(stack.workspace)}):
            stamp = _take_stamp(stack, name)
            before = known.get(name)
            same = before if before and before[0] == stamp and not before[1].is_being_deployed else None
            self._known[name] = same or (stamp, _load(stack, name, folder=folders.get(name)))
        return tuple(snapshot for _, snapshot in self._known.values())


def _load(stack: Stack, name: str, *, folder: Path | None) -> FunctionSnapshot:
    plan, problem = _plan(stack, folder)
    deployment, deployed, refusal = None, None, ""
    try:
        if name in list_deployed(stack.workspace):
            deployment = find_deployment(stack.workspace, name)
            deployed = deployment.plan(stack.settings)
            check_host_access(deployed.function, stack.settings)
    except AccessError as error:
        refusal = str(error)
    except StackError as error:
        problem = str(error)
    chosen = plan or deployed
    path, source = _read_source(stack, chosen, has_folder=folder is not None) if chosen else ("", "")
    kept = load_replicas(stack.workspace).get(name)
    return FunctionSnapshot(
        name=name,
        plan=plan,
        problem=problem,
        source=source,
        source_path=path,
        deployment=deployment,
        deployed=deployed,
        attempts=load_attempts(stack.workspace, name),
        version=_digest(chosen) if chosen else "",
        replicas=choose_replicas(deployed.spec, kept) if deployed else 0,
        note=explain_folder(deployment, has_folder=folder is not None) if deployment else "",
        refusal=refusal,
    )


def _plan(stack: Stack, folder: Path | None) -> tuple[FunctionPlan | None, str]:
    """Return what a folder asks for, or what is wrong with it."""
    if folder is None:
        return None, ""
    try:
        plan = plan_function(stack.recall(folder), stack.settings)
    except StackError as error:
        return None, str(error)
    try:
        check_host_access(plan.function, stack.settings)
    except AccessError as error:
        return plan, str(error)
    return plan, ""


def _read_source(stack: Stack, plan: FunctionPlan, *, has_folder: bool) -> tuple[str, str]:
    """Return the path of the handler's file below the folder of the code, and its text."""
    if inline := inline_source(plan):
        return inline[0], inline[1].decode(errors="replace")
    folder = stack.workspace.root / plan.function.context
    for path in plan.runtime.list_sources(plan.handler) if has_folder else ():
        with suppress(OSError):
            return path, (folder / path).read_text(encoding="utf-8", errors="replace")
    return "", ""


def _digest(plan: FunctionPlan) -> str:
    config = plan.function.config.model_dump_json(by_alias=True, exclude_unset=True)
    files = (*plan.function.files, *plan.function.shared)
    return hashlib.sha256(f"{config} {files}".encode()).hexdigest()[:_DIGITS]


def _take_stamp(stack: Stack, name: str) -> _Stamp:
    root, state = stack.workspace.root, stack.workspace.state
    files = (
        root / SETTINGS,
        state / "functions" / f"{name}.json",
        state / "deploys" / f"{name}.jsonl",
        state / "replicas" / name,
        state / "sources" / name / "current",
    )
    folders = (root / FOLDER / name, root / FOLDER / SHARED)
    return (*_stat_some(files), *(stamp for folder in folders for stamp in _stat_all(str(folder))))


def _stat_some(paths: tuple[Path, ...]) -> Iterator[tuple[str, int, int]]:
    for path in paths:
        with suppress(OSError):
            there = path.stat()
            yield str(path), there.st_mtime_ns, there.st_size


def _stat_all(folder: str) -> Iterator[tuple[str, int, int]]:
    """Look at the files below a folder, without the cost of a `Path` for each."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in IGNORED_FOLDERS:
                    yield from _stat_all(entry.path)
            else:
                there = entry.stat(follow_symlinks=False)
                yield entry.path, there.st_mtime_ns, there.st_size


# Bytes of a file that are looked at.
_MOST_BYTES = 200_000


@dataclass
class MentionReader:
    """Reads the code of functions, each file again only when it has changed."""

    workspace: Workspace
    _texts: dict[Path, tuple[int, str]] = field(default_factory=dict)

    def find(self, functions: Mapping[str, Collection[str]], names: Collection[str]) -> dict[str, list[str]]:
        """Return the names that stand in quotes in each function's files; the files are paths in its folder."""
        return {
            function: [name for name in names if any(_holds(text, name) for text in self.read_sources(function, files))]
            for function, files in functions.items()
        }

    def read_sources(self, function: str, files: Iterable[str]) -> Iterator[str]:
        """Yield the texts of a function's sources; the files are paths in its folder."""
        for name in files:
            path = self.workspace.root / FOLDER / function / name
            if runtime_of(path.name):
                yield self._read_file(path)

    def _read_file(self, path: Path) -> str:
        try:
            changed = path.stat().st_mtime_ns
            if self._texts.get(path, (0, ""))[0] != changed:
                with path.open(errors="replace") as file:
                    self._texts[path] = changed, file.read(_MOST_BYTES)
        except OSError:
            return ""
        return self._texts[path][1]


def load_publishers(workspace: Workspace) -> Iterator[Publisher]:
    """Yield the functions in functions/ as far as their messages go; one that is wrong is left out."""
    reader = MentionReader(workspace)
    for name, folder in function_folders(workspace.root).items():
        with suppress(StackError):
            function = load_function(folder)
            inline = function.config.spec.build.source.decode(errors="replace")
            texts = reader.read_sources(name, (file.path for file in function.files))
            yield Publisher(name, function.config.spec.outputs, (inline, *texts))


def _holds(text: str, name: str) -> bool:
    return any(f"{quote}{name}{quote}" in text for quote in "\"'")
