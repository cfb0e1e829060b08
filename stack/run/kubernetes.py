"""export-kubernetes: the functions and the broker for a cluster, and their images into its registry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from stack import console
from stack.config.settings import Settings
from stack.docker.driver import Driver
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.errors import ConfigError, ConflictError, EngineError, FunctionError
from stack.plan.kubernetes.conflict import TOPOLOGY, find_conflicts, find_removed
from stack.plan.kubernetes.export import (
    KUSTOMIZATION,
    MARK,
    Exported,
    Target,
    check_target,
    choose_namespace,
    name_in_registry,
    plan_export,
    render_secrets,
)
from stack.plan.stack import Service
from stack.run.function import build_functions
from stack.state.workspace import advise, remove_file, write_file

_FOLDER = "kubernetes"
# Parts of the stack that stay on this machine, and what takes their place.
_LEFT_OUT = "the dashboard, the store of readings, alerts, the logger and devices' own logins"


@dataclass(frozen=True)
class ExportRequest:
    """What is to be written, and for which cluster; what is left out is None."""

    output: str | None = None
    namespace: str | None = None
    registry: str | None = None
    """Left out, it is `images.registry` of stack.yaml."""
    push: bool = False
    gateway: str | None = None
    ingress: str | None = None
    external_secrets: str | None = None
    nodes: int = 0
    secrets: bool = False
    """Print the Secrets with their values, and write nothing."""


def export_kubernetes(request: ExportRequest) -> None:
    """Write a Kustomize base of what is deployed, and of functions that are not, as their folders have them.

    Raises:
        StackError: a function is wrong, an image cannot be built or pushed, or the folder holds files of others.
    """
    if empty := [name for name, value in vars(request).items() if value == ""]:
        # Such as a variable of a script that is not set: it would export something else than is meant.
        raise ConfigError([f"--{name.replace('_', '-')}: is empty; leave it out, or name one" for name in empty])
    stack = open_stack()
    request = replace(request, registry=request.registry or stack.settings.images.registry)
    if request.push and not request.registry:
        raise FunctionError("--push needs a registry: add --registry, such as registry.example/team.")
    services = [one for one in stack.inputs.services if not one.is_own]
    warn_refused(stack)
    target = _read_target(request, stack.settings)
    if request.push:
        target = replace(target, images=_push(stack, services, registry=target.registry))
    exported = plan_export(stack.inputs, stack.vault, target)
    if request.secrets:
        console.show_text(render_secrets(exported.secrets, target).decode())
        return
    folder = Path(request.output or stack.workspace.root / _FOLDER)
    before = _load_own(folder)
    written = _write(folder, exported.files, older=before)
    exported = replace(exported, notes=(*exported.notes, *_compare(before, exported.files)))
    _tell(exported, services, folder=folder, written=written, request=request)


def _compare(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what an apply of an export does not do, where an older one was applied."""
    yield from find_conflicts(before.get(TOPOLOGY, b""), after[TOPOLOGY])
    yield from find_removed(before.values(), after.values())


def _read_target(request: ExportRequest, settings: Settings) -> Target:
    """Return where an export goes.

    Raises:
        ConfigError: no cluster could take it.
    """
    target = Target(
        namespace=choose_namespace(request.namespace or "", settings),
        is_own=not request.namespace,
        registry=request.registry or "",
        gateway=request.gateway or "",
        ingress=request.ingress or "",
        nodes=request.nodes,
        store=request.external_secrets or "",
    )
    check_target(target)
    return target


def _push(stack: Stack, services: Sequence[Service], *, registry: str) -> Mapping[str, str]:
    """Push the images of functions, built where they are missing; return each with its digest, by its name here."""
    driver = Driver(stack.engine)
    driver.check()
    own = [one for one in services if not one.runs_as_is]
    here = stack.engine.images(one.image for one in own)
    if gone := [one.plan.name for one in own if one.is_deployed and one.image not in here]:
        raise FunctionError(f"The images of {', '.join(gone)} are not here any more. `invoke up` makes them again.")
    if missing := [one.plan.name for one in own if one.image not in here]:
        build_functions(stack, missing)
    pushed = {}
    for service in own:
        name = name_in_registry(service.image, registry)
        with console.working(f"Pushing {name}"):
            driver.tag(service.image, name)
            try:
                pushed[service.image] = driver.push(name)
            except EngineError as error:
                how = f"Check that {registry} is right and there; `docker login` is for one that wants an account"
                raise EngineError(f"{name} was not pushed: {error}\n{how}; then type this again.") from error
        if name != service.image:
            # It would keep the image here when its revision is gone.
            driver.remove_images([name])
    return pushed


@dataclass(frozen=True)
class _Written:
    """What became of the files of a folder: which are otherwise than before, and which are gone."""

    changed: list[str]
    removed: list[str]

    def __str__(self) -> str:
        return f", and {len(self.removed)} of an older export removed" if self.removed else ""


def _write(folder: Path, files: Mapping[str, bytes], *, older: Mapping[str, bytes]) -> _Written:
    """Write the files that differ, and remove those of an older export.

    Raises:
        ConflictError: one that would be replaced was written by somebody else.
    """
    foreign = [path for path in files if path not in older and (folder / path).exists()]
    if foreign:
        what = f"{folder / foreign[0]} is no file of export-kubernetes"
        raise ConflictError(f"{what}; name another folder: --output DIR. What you change belongs into an overlay.")
    changed = [path for path, content in files.items() if write_file(folder / path, content)]
    removed = sorted(set(older).difference(files))
    for path in removed:
        remove_file(folder / path)
    return _Written(changed, removed)


def _load_own(folder: Path) -> dict[str, bytes]:
    """Return the files of an older export by their names.

    Raises:
        ConflictError: the folder is a file, or cannot be read.
    """
    if file := next((one for one in (folder, *folder.parents) if one.is_file()), None):
        raise ConflictError(f"{file} is a file, and the export is a folder; name another: --output DIR.")
    try:
        paths = sorted(one for one in folder.glob("*.yaml") if one.is_file()) if folder.is_dir() else []
        found = {path.name: path.read_bytes() for path in paths}
    except OSError as error:
        raise ConflictError(f"{folder} cannot be read. {advise(error, folder)}") from error
    return {name: content for name, content in found.items() if content.startswith(MARK.encode())}


def _tell(
    exported: Exported, services: Sequence[Service], *, folder: Path, written: _Written, request: ExportRequest
) -> None:
    for note in exported.notes:
        console.warn(f"{note}.")
    if undeployed := [one.plan.name for one in services if not one.is_deployed]:
        console.say(f"Not deployed here, and exported as their folders are: {', '.join(undeployed)}.")
    console.say(f"Not exported: {_LEFT_OUT}.")
    console.success(f"{len(written.changed)} of {len(exported.files)} files changed in {folder}{written}.")
    if exported.secrets and not request.external_secrets:
        names = ", ".join(one.name for one in exported.secrets)
        console.say(f"No file has the value of a secret. The cluster needs these Secrets: {names}.")
        console.say(f"`{_repeat(request)} --secrets | kubectl apply --filename -` makes them of this stack's values.")
    console.say(
        f"Next: `kubectl apply --kustomize {quote(str(folder))}`; {folder / KUSTOMIZATION} lists what it is made of."
    )


def _repeat(request: ExportRequest) -> str:
    return "invoke export-kubernetes" + (f" --namespace {request.namespace}" if request.namespace else "")
