"""export-kubernetes: the functions and the broker for a cluster, and their images into its registry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack import console
from stack.docker.driver import Driver
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.errors import ConflictError, FunctionError
from stack.plan.kubernetes.conflict import TOPOLOGY, find_conflicts
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
    """What is to be written, and for which cluster."""

    output: str = ""
    namespace: str = ""
    registry: str = ""
    push: bool = False
    gateway: str = ""
    ingress: str = ""
    external_secrets: str = ""
    nodes: int = 0
    secrets: bool = False
    """Print the Secrets with their values, and write nothing."""


def export_kubernetes(request: ExportRequest) -> None:
    """Write a Kustomize base of what is deployed, and of functions that are not, as their folders have them.

    Raises:
        StackError: a function is wrong, an image cannot be built or pushed, or the folder holds files of others.
    """
    if request.push and not request.registry:
        raise FunctionError("--push needs a registry: add --registry, such as registry.example/team.")
    stack = open_stack()
    services = [one for one in stack.inputs.services if not one.is_own]
    warn_refused(stack)
    target = Target(
        namespace=choose_namespace(request.namespace, stack.settings),
        is_own=not request.namespace,
        registry=request.registry,
        gateway=request.gateway,
        ingress=request.ingress,
        nodes=request.nodes,
        store=request.external_secrets,
    )
    check_target(target)
    if request.push:
        target = replace(target, images=_push(stack, services, request.registry))
    exported = plan_export(stack.inputs, stack.vault, target)
    if request.secrets:
        console.show_text(render_secrets(exported.secrets, target).decode())
        return
    folder = Path(request.output or stack.workspace.root / _FOLDER)
    before = folder / TOPOLOGY
    conflicts = list(find_conflicts(before.read_bytes(), exported.files[TOPOLOGY])) if before.is_file() else []
    changed = _write(folder, exported.files)
    exported = replace(exported, notes=(*exported.notes, *conflicts))
    _tell(exported, services, folder, changed=changed, request=request)


def _push(stack: Stack, services: Sequence[Service], registry: str) -> Mapping[str, str]:
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
            pushed[service.image] = driver.push(name)
        if name != service.image:
            # It would keep the image here when its revision is gone.
            driver.remove_images([name])
    return pushed


def _write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write the files that differ, and remove those of an older export; return the paths that changed.

    Raises:
        ConflictError: one that would be replaced was written by somebody else.
    """
    try:
        older = set(_list_own(folder))
        foreign = [path for path in files if path not in older and (folder / path).exists()]
    except OSError as error:
        raise ConflictError(f"{folder} cannot be read. {advise(error, folder)}") from error
    if foreign:
        what = f"{folder / foreign[0]} is no file of export-kubernetes"
        raise ConflictError(f"{what}; name another folder: --output DIR. What you change belongs into an overlay.")
    changed = [path for path, content in files.items() if write_file(folder / path, content)]
    for path in sorted(older.difference(files)):
        remove_file(folder / path)
        changed.append(path)
    return changed


def _list_own(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        if path.read_bytes().startswith(MARK.encode()):
            yield path.name


def _tell(
    exported: Exported, services: Sequence[Service], folder: Path, *, changed: Sequence[str], request: ExportRequest
) -> None:
    for note in exported.notes:
        console.warn(f"{note}.")
    if undeployed := [one.plan.name for one in services if not one.is_deployed]:
        console.say(f"Not deployed here, and exported as their folders are: {', '.join(undeployed)}.")
    console.say(f"Not exported: {_LEFT_OUT}.")
    console.success(f"{len(changed)} of {len(exported.files)} files changed in {folder}.")
    if exported.secrets and not request.external_secrets:
        names = ", ".join(one.name for one in exported.secrets)
        console.say(f"No file has the value of a secret. The cluster needs these Secrets: {names}.")
        console.say(f"`{_repeat(request)} --secrets | kubectl apply --filename -` makes them of this stack's values.")
    console.say(f"Next: `kubectl apply --kustomize {folder}`; {folder / KUSTOMIZATION} lists what it is made of.")


def _repeat(request: ExportRequest) -> str:
    return "invoke export-kubernetes" + (f" --namespace {request.namespace}" if request.namespace else "")
