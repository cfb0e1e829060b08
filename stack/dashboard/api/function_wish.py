"""What a client wants of a function: its document, looked at as Nuclio looks at it, and kept in its folder."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL, RESERVED, FunctionConfig, check_name
from stack.dashboard.desk import Desk
from stack.plan.function_document import Told, is_import
from stack.run.catalogue.catalogue import FunctionRecord
from stack.run.catalogue.project import list_projects
from stack.run.catalogue.saving import save_function
from stack.run.state import BUILDING

# A header of Tidegate's own, of answers and of requests: a change with a stale one is refused.
VERSION = "X-Tidegate-Function-Version"


@dataclass(frozen=True)
class Wish:
    """A function as a client describes it."""

    name: str
    project: str
    document: dict[str, Any]
    version: str = ""
    """What the client takes for the function's latest version, if it says so."""

    @property
    def is_import(self) -> bool:
        """Say whether it is only to be kept, not deployed."""
        return is_import(self.document)

    @property
    def is_disabled(self) -> bool:
        """Say whether it is to have no container."""
        return self.document["spec"].get("disable") is True


def read_name(document: dict[str, Any]) -> str:
    """Return the name of the function that a body is about.

    Raises:
        HTTPException: 400, there is none, or it is none; 412, it is reserved.
    """
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise HTTPException(400, "Function name must be provided in metadata")
    if name in RESERVED:
        raise HTTPException(412, f"Function name {name} is reserved and cannot be used.")
    try:
        check_name(name)
    except ValueError as error:
        raise HTTPException(400, f"Function name breaks the naming convention: it {error}") from error
    return name


def read_wish(document: dict[str, Any], project: str = "", version: str = "") -> Wish:
    """Return what a body wishes; `project` wins over its label.

    Its own resourceVersion says nothing: Nuclio makes none on Docker, and its clients send an object again and again.

    Raises:
        HTTPException: something that every function has is missing.
    """
    name = read_name(document)
    if not isinstance(document.get("spec"), dict):
        raise HTTPException(400, "Function spec must be provided")
    metadata = document["metadata"]
    labels = metadata.get("labels")
    labels = dict(labels) if isinstance(labels, dict) else {}
    wanted = project or str(labels.get(PROJECT_LABEL) or DEFAULT_PROJECT)
    head = {**metadata, "labels": {**labels, PROJECT_LABEL: wanted}}
    return Wish(name, wanted, {**document, "metadata": head}, version)


async def find_record(desk: Desk, name: str) -> FunctionRecord | None:
    """Return what is known of a function, if there is one."""
    return next((one for one in await desk.records() if one.name == name), None)


async def keep_wish(desk: Desk, wish: Wish, before: FunctionRecord | None) -> None:
    """Write what a client wishes into the function's folder.

    Raises:
        HTTPException: the function cannot be changed now, or so.
        ConfigError: it cannot run here.
    """
    if before:
        _check_change(wish, before)
    await run_in_threadpool(_keep, desk, wish, before)
    desk.catalogue.forget()


def check_free(record: FunctionRecord) -> None:
    """Refuse to touch a function that is being deployed.

    Raises:
        HTTPException: 412, it is.
    """
    if record.state == BUILDING:
        raise HTTPException(412, f"Function {record.name} is being provisioned and cannot be changed meanwhile.")


def check_version(record: FunctionRecord, version: str) -> None:
    """Refuse to touch a function that the client knows in an older version.

    Raises:
        HTTPException: 409, it does.
    """
    if version and version != record.version:
        raise HTTPException(
            409, f"Function {record.name} has changed since it was read: {VERSION} is stale. Read it again."
        )


def _check_change(wish: Wish, before: FunctionRecord) -> None:
    check_free(before)
    check_version(before, wish.version)
    if wish.is_disabled and not before.is_deployed:
        raise HTTPException(412, "Non-deployed functions cannot be disabled")


def _keep(desk: Desk, wish: Wish, before: FunctionRecord | None) -> None:
    stack = desk.stack()
    known = list_projects(desk.workspace, {one.project for one in desk.catalogue.records()})
    if wish.project not in known:
        raise HTTPException(412, f"Project {wish.project} does not exist; create it first.")
    namespace = stack.settings.namespace
    told = before.told if before else Told(wish.name, namespace, wish.project, FunctionConfig(), "", {})
    save_function(stack, wish.document, told)
