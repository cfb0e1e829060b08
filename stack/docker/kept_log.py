"""What containers of functions said that are no more: the last of each function, in .stack/state/logs/NAME/."""

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from stack.docker.container import Container
from stack.errors import HostError
from stack.state.workspace import list_files, make_folder, write_file

# Of each function so many containers, and of each so much.
_MOST_FILES, _MOST_LINES, _MOST_BYTES = 5, 10_000, 1_000_000
_AT_ONCE = 4
_NEVER_RAN = "created"
_LETTERS = 12


def keep_logs(folder: Path, containers: Sequence[Container]) -> None:
    """Keep the end of what containers of functions said, before they are removed, where there is room for it."""
    wanted = [one for one in containers if one.function and "/" not in one.function and one.state != _NEVER_RAN]
    if wanted:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda one: _keep_log(folder / one.function, one), wanted))


def find_kept_logs(folder: Path, name: str) -> list[Path]:
    """Return the files of a function, the newest last."""
    return list_files(folder / name)


def _keep_log(folder: Path, container: Container) -> None:
    result = subprocess.run(
        ["docker", "logs", "--timestamps", "--tail", str(_MOST_LINES), container.id],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode or not result.stdout:
        return
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    head = f"# {container.name}, of {container.image}, removed {stamp}\n".encode()
    with suppress(HostError, OSError):
        make_folder(folder, 0o700)
        file = folder / f"{stamp}-{container.id[:_LETTERS]}.log"
        write_file(file, head + _cut(result.stdout), 0o600)
        for path in list_files(folder)[:-_MOST_FILES]:
            path.unlink(missing_ok=True)


def _cut(content: bytes) -> bytes:
    """Return the end of a log, from the beginning of a line on."""
    return content if len(content) <= _MOST_BYTES else content[-_MOST_BYTES:].partition(b"\n")[2]
