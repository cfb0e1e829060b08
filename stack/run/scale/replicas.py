"""How many containers of each function were asked for; kept in .stack/state/replicas/, one file for each."""

from contextlib import suppress
from pathlib import Path

from stack.plan.function import FunctionPlan
from stack.plan.scale import find_limits
from stack.run.workspace import Workspace, list_files, write_file


def load_replicas(workspace: Workspace) -> dict[str, int]:
    """Read how many containers were asked for, by the name of the function, where that was ever done."""
    found = {}
    for path in list_files(_folder(workspace)):
        # A function may be deleted meanwhile.
        with suppress(FileNotFoundError):
            found[path.name] = int(path.read_text())
    return found


def keep_replicas(workspace: Workspace, name: str, replicas: int) -> None:
    """Remember how many containers are asked for, whatever else becomes of the function."""
    write_file(_folder(workspace) / name, f"{replicas}\n".encode())


def forget_replicas(workspace: Workspace, name: str) -> None:
    """Forget it."""
    (_folder(workspace) / name).unlink(missing_ok=True)


def wake(workspace: Workspace, plan: FunctionPlan) -> int | None:
    """Return how many containers a deploy is to start, if that was ever asked for.

    One that the scaler has put to sleep gets a container, which shows whether the new version comes up.
    """
    kept = load_replicas(workspace).get(plan.name)
    if kept == 0 and find_limits(plan.spec).is_automatic:
        keep_replicas(workspace, plan.name, 1)
        return 1
    return kept


def _folder(workspace: Workspace) -> Path:
    return workspace.state / "replicas"
