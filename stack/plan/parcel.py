"""A function's other files within its configuration, as a command of its build that unpacks them.

Nuclio's YAML has room for one source file. A command is carried out by every Nuclio, and needs nothing but a shell.
"""

import base64
import binascii
import gzip
import io
import re
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from stack.config.requirements import locate_requirements
from stack.errors import FunctionError

_COMMAND = re.compile(r"^echo ([A-Za-z0-9+/=]+) \| base64 -d \| tar -xzC /opt/nuclio$")
# Docker refuses a Dockerfile with a line of more than 65535 bytes.
_MOST = 60_000
# What one file of a command may unpack to, so that a small one cannot fill the memory.
_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class File:
    """What a file holds, and whether it is a program."""

    content: bytes
    is_executable: bool = False


def pack_files(files: Mapping[str, File]) -> str:
    """Return the command that writes the files; the same files make the same command.

    Raises:
        FunctionError: they are too large for a command.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(file.content), 0o755 if file.is_executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
    text = base64.b64encode(gzip.compress(raw.getvalue(), mtime=0)).decode()
    if len(text) > _MOST:
        raise FunctionError(
            f"Its files beside the source ({', '.join(sorted(files))}) are too large for one YAML: {len(text)} "
            f"characters of at most {_MOST}. Publish the folder as an archive or a git repository, and let "
            "spec.build.codeEntryType and spec.build.path name it."
        )
    return f"echo {text} | base64 -d | tar -xzC /opt/nuclio"


def install_requirements(handler: str, paths: Collection[str]) -> str:
    """Return the command that installs what is required among the files; nothing if they require nothing."""
    path = locate_requirements(handler, paths)
    return f"pip install -r /opt/nuclio/{path}" if path in paths else ""


def unpack_files(command: str) -> dict[str, File]:
    """Return the files of such a command; nothing if it is another one, or has anything else than plain files."""
    match = _COMMAND.match(command.strip())
    if not match:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(match[1])), mode="r:gz") as archive:
            return {PurePosixPath(entry.name).as_posix(): _read(archive, entry) for entry in archive}
    except (ValueError, binascii.Error, tarfile.TarError, OSError, EOFError):
        return {}


def _read(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    content = archive.extractfile(entry)
    parts = PurePosixPath(entry.name).parts
    is_inside = bool(parts) and ".." not in parts and not entry.name.startswith("/")
    if content is None or not entry.isfile() or entry.size > _BYTES or not is_inside:
        raise ValueError(f"{entry.name} is no plain file of the folder")
    return File(content.read(), bool(entry.mode & 0o100))
