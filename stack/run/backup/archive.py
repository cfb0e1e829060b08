"""The file of a backup: a tar, compressed, written and read as a stream, with the digest of each member.

What is larger than memory is a series of members, NAME/000000 and on.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from stack.errors import HostError

# Most of a backup is images, whose parts compress little better for much more work.
_LEVEL = 1
_BLOCK_BYTES = 2**20


class _Hashing:
    """A file that is read once, and its digest."""

    def __init__(self, file: BinaryIO | IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._file.read(size)
        self.digest.update(data)
        return data


class ArchiveWriter:
    """Writes members one after the other; `digests` are those written so far."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.digests: dict[str, str] = {}

    def add(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Add a member of this content."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), mode
        self._tar.addfile(info, io.BytesIO(content))
        self.digests[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, path: Path) -> None:
        """Add a file, or a symbolic link as such."""
        if path.is_symlink():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
            self._tar.addfile(info)
            self.digests[name] = digest_link(info.linkname)
            return
        with path.open("rb") as file:
            there = self._tar.gettarinfo(arcname=name, fileobj=file)
            reader = _Hashing(file)
            # One that has several names is a file under each.
            there.type, there.size, there.linkname = tarfile.REGTYPE, path.stat().st_size, ""
            self._tar.addfile(_without_owner(there), reader)
            self.digests[name] = reader.digest.hexdigest()

    def add_chunks(self, folder: str, chunks: Iterable[bytes]) -> None:
        """Add a series of members."""
        for number, chunk in enumerate(chunks):
            self.add(f"{folder}{number:06}", chunk)


@contextmanager
def writing(file: BinaryIO | IO[bytes]) -> Iterator[ArchiveWriter]:
    """Yield what writes an archive into an open file."""
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield ArchiveWriter(tar)


@contextmanager
def reading(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]]:
    """Yield the members of an archive in their order, each with its content, which can be read until the next.

    Raises:
        HostError: it cannot be read, is damaged, or is cut off.
    """
    try:
        with tarfile.open(path, "r|gz") as tar:
            yield ((info, tar.extractfile(info) if info.isreg() else None) for info in tar)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HostError(f"{path} is damaged or cut off, or no backup: {error}. Nothing was changed.") from error
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror or error}. Nothing was changed.") from error


def digest_link(target: str) -> str:
    """Return what stands for a symbolic link among the digests."""
    return f"-> {target}"


def digest_of(content: IO[bytes]) -> str:
    """Read a member to its end and return its SHA-256, in hexadecimal."""
    total = hashlib.sha256()
    while block := content.read(_BLOCK_BYTES):
        total.update(block)
    return total.hexdigest()


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
