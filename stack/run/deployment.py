"""Deployments: which functions run, as what; kept in .stack/state/functions/, one file for each."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import FOLDER, Function, SourceFile
from stack.errors import FunctionError
from stack.plan.function import FunctionPlan, complete_function
from stack.run.workspace import Workspace, write_file


class Deployment(BaseModel):
    """A function as it was deployed, whatever became of its folder since."""

    model_config = ConfigDict(frozen=True)

    name: str
    image: str
    handler: str
    revision: int
    time: datetime
    config: FunctionConfig
    files: tuple[str, ...] = ()
    """The paths of what went into the image, below the folder of the code."""
    code: str = ""
    """The folder of the code, if it is not the function's own."""

    def plan(self, settings: Settings) -> FunctionPlan:
        """Return the plan that was deployed."""
        files = tuple(SourceFile(path, "") for path in self.files)
        function = Function(self.name, f"{FOLDER}/{self.name}", self.config, files, self.code)
        return complete_function(function, self.handler, settings)


def load_deployments(workspace: Workspace) -> dict[str, Deployment]:
    """Read which functions are deployed, by name."""
    return {deployment.name: deployment for deployment in _read_all(workspace)}


def record_deployment(workspace: Workspace, plan: FunctionPlan, image: str) -> Deployment:
    """Remember that a function runs as this image from now on."""
    before = load_deployments(workspace).get(plan.name)
    deployment = Deployment(
        name=plan.name,
        image=image,
        handler=plan.handler,
        revision=before.revision + 1 if before else 1,
        time=datetime.now(UTC),
        config=plan.function.config,
        files=tuple(file.path for file in plan.function.files),
        code=plan.function.code,
    )
    document = deployment.model_dump_json(by_alias=True, exclude_unset=True, indent=2)
    write_file(_folder(workspace) / f"{plan.name}.json", document.encode() + b"\n")
    return deployment


def forget_deployment(workspace: Workspace, name: str) -> None:
    """Remember that a function is not deployed."""
    (_folder(workspace) / f"{name}.json").unlink(missing_ok=True)


def _folder(workspace: Workspace) -> Path:
    return workspace.state / "functions"


def _read_all(workspace: Workspace) -> Iterator[Deployment]:
    for path in sorted(_folder(workspace).glob("*.json")):
        try:
            yield Deployment.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise FunctionError(
                f"{path} cannot be read. Remove it, and deploy again: invoke deploy-function {path.stem}."
            ) from error
