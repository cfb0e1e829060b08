"""Archives of kinds that Python does not read, made tars of by libarchive's bsdtar, where it is installed."""

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stack.errors import FunctionError

# What their files begin with.
_KINDS = {b"\x28\xb5\x2f\xfd": "zst", b"\x04\x22\x4d\x18": "lz4", b"Rar!\x1a\x07": "rar"}
KINDS = ("tar.zst", "tar.lz4", "rar")
_CHUNK_BYTES = 1 << 20


def find_kind(archive: Path) -> str:
    """Return which of these kinds an archive is, whatever its name; nothing if it is none."""
    with archive.open("rb") as file:
        head = file.read(max(map(len, _KINDS)))
    return next((kind for sign, kind in _KINDS.items() if head.startswith(sign)), "")


@contextmanager
def open_converted(archive: Path, kind: str, limit: int) -> Iterator[tarfile.TarFile]:
    """Open an archive as the tar that holds the same; `limit` is the most that the tar may be, in bytes.

    Raises:
        FunctionError: bsdtar is not here or cannot read it, or it is too large.
    """
    with tempfile.TemporaryFile() as file:
        _convert(archive, kind, file, limit)
        file.seek(0)
        with tarfile.open(fileobj=file) as bundle:
            yield bundle


def _convert(archive: Path, kind: str, file: IO[bytes], limit: int) -> None:
    # The @ means the entries of an archive; its path is absolute, so that it is no option.
    command = ["bsdtar", "--create", "--file", "-", f"@{archive.absolute()}"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        except FileNotFoundError:
            raise FunctionError(
                f"bsdtar, which reads {kind}, is missing. Type `sudo apt-get install libarchive-tools`, "
                "or make the archive a zip or tar.gz"
            ) from None
        with process:
            try:
                _copy(process.stdout, file, limit)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            raise FunctionError(f"the archive is broken: {errors.read().decode(errors='replace').strip()}")


def _copy(source: IO[bytes] | None, file: IO[bytes], limit: int) -> None:
    assert source is not None
    while chunk := source.read(_CHUNK_BYTES):
        if file.tell() + len(chunk) > limit:
            raise FunctionError("what is in the archive is larger than `downloads.megabytes` in stack.yaml permits")
        file.write(chunk)
