"""What a user has deployed: functions of their folders, or an image as a file, built on another machine."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from stack import console
from stack.config.build import CodeEntryAttributes
from stack.config.function import FunctionConfig, check_name
from stack.config.settings import Settings
from stack.docker.container import shorten
from stack.docker.driver import Driver
from stack.docker.stack import Stack, open_stack
from stack.docker.swarm.driver import open_driver
from stack.errors import FunctionError
from stack.plan.code_entry import runs_as_is
from stack.plan.function import FunctionPlan
from stack.plan.host_access import check_host_access
from stack.plan.image import split_reference
from stack.run.deploy import deploy_built, deploy_functions, roll_back
from stack.run.function import build_functions
from stack.run.function_status import FunctionStatus, show_functions
from stack.run.remote_function import deploy_remotely
from stack.run.sites.rollout import SiteRequest, deploy_to_sites, roll_back_at_sites
from stack.state.deployment import Deployment
from stack.state.lock import lock


@dataclass(frozen=True)
class DeployRequest:
    """What is to be deployed: one function, all, or one from a file; why; and at which sites, if not here."""

    name: str = ""
    everything: bool = False
    image_file: str = ""
    message: str = ""
    force: bool = False
    """With all, those too that were rolled back."""
    sites: SiteRequest = field(default_factory=SiteRequest)


def deploy_and_print(request: DeployRequest) -> None:
    """Deploy one function, all, or one from a file, and say where they answer.

    Raises:
        FunctionError: none of the three is given, or more than one.
    """
    name = request.name
    asked = (bool(name), request.everything, bool(request.image_file)).count(True)
    if not asked:
        raise FunctionError("Name one function, or add --all or --image-file: invoke deploy-function NAME.")
    if asked > 1:
        raise FunctionError("Give only one of NAME, --all and --image-file; such a file knows its function's name.")
    if request.sites.choice.is_elsewhere:
        _deploy_elsewhere(request)
        return
    request.sites.refuse_here()
    if request.image_file:
        show_functions(deploy_bundle(request.image_file, message=request.message), as_json=request.sites.as_json)
        return
    functions = deploy_functions([name] if name else [], message=request.message, force=request.force)
    chosen = [one for one in functions if request.everything or one.name == name]
    show_functions(chosen, as_json=request.sites.as_json)
    console.say(f"Next: `invoke logs {name} --follow`." if name else "Next: `invoke functions` lists them.")


def _deploy_elsewhere(request: DeployRequest) -> None:
    if not request.name:
        raise FunctionError("--via and --site deploy one function: invoke deploy-function NAME --via URL.")
    if request.message:
        raise FunctionError("Nuclio's API has no place for a message; leave out --message, or --via and --site.")
    sites = request.sites
    if sites.choice.is_one_address and sites.waves is None and not sites.as_json:
        deploy_remotely(request.name, sites.choice.via[0], sites.seconds)
    else:
        deploy_to_sites(sites)


def roll_back_and_print(name: str, number: int, *, sites: SiteRequest) -> None:
    """Go back to an older revision, here or at sites, and say where it answers."""
    if sites.choice.is_elsewhere:
        roll_back_at_sites(sites, number)
        return
    sites.refuse_here()
    show_functions([one for one in roll_back(name, number) if one.name == name], as_json=sites.as_json)
    console.say(f"Next: `invoke functions {name}` lists the revisions.")


# More is no list of an image's names.
_MOST_MANIFEST_BYTES = 1_000_000
# Beside what `docker save` writes and in the same tar, which `docker load` passes over.
_MEMBER = "tidegate/function.json"


def build_and_tell(name: str, output: str) -> None:
    """Build a function's image and deploy nothing; with `output` save it in a file.

    Raises:
        StackError: the function is wrong, its image cannot be built, or the file cannot be written.
    """
    stack = open_stack()
    open_driver(stack.engine).check()
    with lock(stack.workspace, f"function-{name}"):
        plan, image = build_functions(stack, [name])[name]
    console.show(image)
    if not output:
        console.say(f"Next: `invoke deploy-function {name}` runs it; --output FILE.tar saves it for another machine.")
        return
    file = Path(output).expanduser()
    with console.working(f"Saving {file}"):
        _save(stack, plan, image=image, file=file)
    console.say(f"Next, on the other machine: `invoke deploy-function --image-file {file.name}`.")


def deploy_bundle(path: str, *, message: str = "") -> tuple[FunctionStatus, ...]:
    """Deploy a function from a file, which builds nothing; return how all functions are then.

    Raises:
        StackError: the file is not one of `build-function --output`, or the function does not come up.
    """
    file = Path(path).expanduser()
    deployment = _read(file)
    stack = open_stack(is_lenient=True)
    _check(file, deployment, settings=stack.settings)
    open_driver(stack.engine).check()
    with console.working(f"Loading {deployment.image}"):
        Driver(stack.engine).load(file)
    functions = deploy_built(stack, deployment, message=message or f"from {file.name}")
    return tuple(one for one in functions if one.name == deployment.name)


def _save(stack: Stack, plan: FunctionPlan, *, image: str, file: Path) -> None:
    deployment = Deployment(
        name=plan.name,
        image=image,
        handler=plan.handler,
        revision=0,
        time=datetime.now(UTC),
        config=_without_accounts(plan.function.config),
        files=tuple(one.path for one in plan.function.files),
        requirements=plan.function.requirements,
        shared=tuple(one.path for one in plan.function.shared),
        origin=plan.function.origin,
        version=plan.function.version,
        content=plan.content,
    )
    content = deployment.model_dump_json(by_alias=True, exclude_unset=True).encode()
    partial = file.with_name(f".{file.name}.partial")
    try:
        Driver(stack.engine).save(image, partial)
        member = tarfile.TarInfo(_MEMBER)
        member.size = len(content)
        with tarfile.open(partial, "a:") as bundle:
            bundle.addfile(member, io.BytesIO(content))
        partial.replace(file)
    except OSError as error:
        raise FunctionError(f"{file} cannot be written: {error.strerror}. Choose another --output.") from error
    finally:
        partial.unlink(missing_ok=True)


def _read(file: Path) -> Deployment:
    try:
        with tarfile.open(file, "r:") as bundle:
            content = bundle.extractfile(_MEMBER)
            return Deployment.model_validate_json(content.read() if content else b"")
    except OSError as error:
        raise FunctionError(f"{file} cannot be read: {error.strerror}. Name another --image-file.") from error
    except (tarfile.TarError, KeyError, ValidationError) as error:
        message = f"{file} is no function's image; `invoke build-function NAME --output {file.name}` makes one."
        raise FunctionError(message) from error


def _check(file: Path, deployment: Deployment, *, settings: Settings) -> None:
    """Make sure that a file from elsewhere brings one function's image by its own name, before Docker reads it.

    Raises:
        AccessError: the function asks for what stack.yaml does not allow it of this machine.
        FunctionError: the file would give an image of this machine another content.
    """
    try:
        check_name(deployment.name)
    except ValueError as error:
        raise FunctionError(f"{file} is no function's image: its name {error}.") from error
    plan = deployment.plan(settings)
    check_host_access(plan.function, settings)
    own = plan.spec.image if runs_as_is(plan.function) else plan.repository
    try:
        named = {shorten(one) for one in _read_names(file)}
    except (ValueError, TypeError, AttributeError, tarfile.TarError) as error:
        raise FunctionError(f"{file} is no image that Docker reads: {error}.") from error
    if named != {shorten(deployment.image)} or deployment.image not in (
        own,
        f"{own}:{split_reference(deployment.image)[1]}",
    ):
        brought = ", ".join(sorted(named)) or "no image with a name"
        raise FunctionError(f"{file} should bring the image {own} of {deployment.name} alone, and brings {brought}.")


def _read_names(file: Path) -> set[str]:
    """Return the names of the images that `docker load` would give, by either of the two lists that it reads."""
    names = set[str]()
    with tarfile.open(file, "r:") as bundle:
        for path in bundle.getnames():
            if path.removeprefix("./") in ("manifest.json", "index.json") and (member := bundle.extractfile(path)):
                content = json.loads(member.read(_MOST_MANIFEST_BYTES))
                entries = content.get("manifests", []) if isinstance(content, dict) else content
                for entry in entries:
                    names |= set(entry.get("RepoTags") or ())
                    name = (entry.get("annotations") or {}).get("io.containerd.image.name")
                    names |= {name} if name else set()
    return names


def _without_accounts(config: FunctionConfig) -> FunctionConfig:
    """Leave out by which account the code was fetched."""
    build = config.spec.build.model_copy(update={"code_entry_attributes": CodeEntryAttributes()})
    return config.model_copy(update={"spec": config.spec.model_copy(update={"build": build})})
