"""How many containers of each function were asked for; kept in .stack/state/replicas/, one file for each."""

from contextlib import suppress
from functools import cache
from pathlib import Path

from stack import console
from stack.plan.function import FunctionPlan
from stack.plan.scale import find_limits
from stack.state.workspace import Workspace, list_files, remove_file, write_file

# Of the number of containers: far more than there may be.
_MOST_DIGITS = 9


def load_replicas(workspace: Workspace) -> dict[str, int]:
    """Read how many containers were asked for, by the name of the function, where that was ever done."""
    found = {}
    for path in list_files(_folder(workspace)):
        # A function may be deleted meanwhile.
        with suppress(FileNotFoundError):
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if text.isdecimal() and len(text) <= _MOST_DIGITS:
                found[path.name] = int(text)
            else:
                _warn_once(path)
    return found


@cache
def _warn_once(path: Path) -> None:
    name = path.name
    as_written = "as many containers as its function.yaml says"
    console.warn(f"{path} holds no number, so {name} has {as_written}. Say how many: invoke scale-function {name} N.")


def keep_replicas(workspace: Workspace, name: str, *, replicas: int) -> None:
    """Remember how many containers are asked for, whatever else becomes of the function."""
    write_file(_folder(workspace) / name, f"{replicas}\n".encode())


def forget_replicas(workspace: Workspace, name: str) -> None:
    """Forget it."""
    remove_file(_folder(workspace) / name)


def wake(workspace: Workspace, plan: FunctionPlan) -> int | None:
    """Return how many containers a deploy is to start, if that was ever asked for.

    One that the scaler has put to sleep gets a container, which shows whether the new version comes up.
    """
    kept = load_replicas(workspace).get(plan.name)
    if kept == 0 and find_limits(plan.spec).is_automatic:
        keep_replicas(workspace, plan.name, replicas=1)
        return 1
    return kept


def _folder(workspace: Workspace) -> Path:
    return workspace.state / "replicas"
