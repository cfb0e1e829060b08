"""A function's image as a file: built on one machine, deployed on another that can build nothing."""

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from stack import console
from stack.config.code_entry import CodeEntryAttributes
from stack.config.function import FunctionConfig
from stack.errors import FunctionError
from stack.plan.function import FunctionPlan
from stack.run.deploy.deploy import deploy_built
from stack.run.deploy.deployment import Deployment
from stack.run.function import build_functions
from stack.run.function_status import FunctionStatus
from stack.run.lock import lock
from stack.run.stack import Stack, open_stack

# Beside what `docker save` writes and in the same tar, which `docker load` passes over.
_MEMBER = "tidegate/function.json"


def build_and_tell(name: str, output: str) -> None:
    """Build a function's image and deploy nothing; with `output` save it in a file.

    Raises:
        StackError: the function is wrong, its image cannot be built, or the file cannot be written.
    """
    stack = open_stack()
    stack.engine.check()
    with lock(stack.workspace, f"function-{name}"):
        plan, image = build_functions(stack, [name])[name]
    console.show(image)
    if not output:
        console.say(f"Next: `invoke deploy-function {name}` runs it; --output FILE.tar saves it for another machine.")
        return
    file = Path(output).expanduser()
    with console.working(f"Saving {file}"):
        _save(stack, plan, image, file)
    console.say(f"Next, on the other machine: `invoke deploy-function --image-file {file.name}`.")


def deploy_bundle(path: str, *, message: str = "") -> tuple[FunctionStatus, ...]:
    """Deploy a function from a file, which builds nothing; return how all functions are then.

    Raises:
        StackError: the file is not one of `build-function --output`, or the function does not come up.
    """
    file = Path(path).expanduser()
    deployment = _read(file)
    stack = open_stack(is_lenient=True)
    stack.engine.check()
    with console.working(f"Loading {deployment.image}"):
        stack.engine.load(file)
    functions = deploy_built(stack, deployment, message or f"from {file.name}")
    return tuple(one for one in functions if one.name == deployment.name)


def _save(stack: Stack, plan: FunctionPlan, image: str, file: Path) -> None:
    deployment = Deployment(
        name=plan.name,
        image=image,
        handler=plan.handler,
        revision=0,
        time=datetime.now(UTC),
        config=_without_accounts(plan.function.config),
        files=tuple(one.path for one in plan.function.files),
        requirements=plan.function.requirements,
        origin=plan.function.origin,
        version=plan.function.version,
    )
    content = deployment.model_dump_json(by_alias=True, exclude_unset=True).encode()
    partial = file.with_name(f".{file.name}.partial")
    try:
        stack.engine.save(image, partial)
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


def _without_accounts(config: FunctionConfig) -> FunctionConfig:
    """Leave out by which account the code was fetched."""
    build = config.spec.build.model_copy(update={"code_entry_attributes": CodeEntryAttributes()})
    return config.model_copy(update={"spec": config.spec.model_copy(update={"build": build})})
