"""Archives: unpacked into a folder that no entry leaves."""

import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from stack.errors import FunctionError

# What their files begin with.
_KINDS = {b"\x28\xb5\x2f\xfd": "zst", b"\x04\x22\x4d\x18": "lz4", b"Rar!\x1a\x07": "rar"}
_FORMATS = "zip, jar, tar, tar.gz, tar.bz2, tar.xz, tar.zst, tar.lz4 and rar"
MOST_ENTRIES = 20_000
_CHUNK_BYTES = 1 << 20
# Of a tar: headers of an entry with a long name, and what pads it.
_ENTRY_BYTES = 4096
# The longest path of Linux.
_TARGET_BYTES = 4096


def _find_kind(archive: Path) -> str:
    """Return which of these kinds an archive is, whatever its name; nothing if it is none."""
    with archive.open("rb") as file:
        head = file.read(max(map(len, _KINDS)))
    return next((kind for sign, kind in _KINDS.items() if head.startswith(sign)), "")


@contextmanager
def _open_converted(archive: Path, kind: str, *, limit: int) -> Iterator[tarfile.TarFile]:
    """Open an archive as the tar that holds the same; `limit` is the most that the tar may be, in bytes.

    Raises:
        FunctionError: bsdtar is not here or cannot read it, or it is too large.
    """
    with tempfile.TemporaryFile() as file:
        _convert(archive, kind, file=file, limit=limit)
        file.seek(0)
        with tarfile.open(fileobj=file) as bundle:
            yield bundle


def _convert(archive: Path, kind: str, *, file: IO[bytes], limit: int) -> None:
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
                _copy(process.stdout, file, limit=limit)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            raise FunctionError(f"the archive is broken: {errors.read().decode(errors='replace').strip()}")


def _copy(source: IO[bytes] | None, file: IO[bytes], *, limit: int) -> int:
    """Copy what is at most so many bytes; return how many they are."""
    assert source is not None
    while chunk := source.read(_CHUNK_BYTES):
        if file.tell() + len(chunk) > limit:
            raise FunctionError("what is in the archive is larger than `downloads.megabytes` in stack.yaml permits")
        file.write(chunk)
    return file.tell()


@dataclass(frozen=True)
class Entry:
    """One entry of an archive: a folder, a link to `target`, or else a file."""

    name: str
    is_folder: bool = False
    is_executable: bool = False
    target: str = ""
    open: Callable[[], IO[bytes] | None] = lambda: None


def unpack(archive: Path, folder: Path, limit: int) -> None:
    """Unpack an archive, whatever its name, into an empty folder; `limit` is the most that may come of it, in bytes.

    Files come first and links last, so that nothing is ever written through a link.

    Raises:
        FunctionError: it is no archive, is broken or too large, or an entry leads out of the folder.
    """
    try:
        links = _unpack_files(archive, folder, limit=limit)
        for place, target in links:
            _make_folder(place.parent, folder)
            place.symlink_to(target)
        for place, target in links:
            if not _leads_within(place, folder):
                raise FunctionError(f"the link {place.name!r} in the archive leads to {target!r}, out of its folder")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError) as error:
        raise FunctionError(f"the archive is broken: {error}") from error
    except (OSError, KeyError) as error:
        raise FunctionError(f"the archive cannot be unpacked: {error}") from error


def _unpack_files(archive: Path, folder: Path, *, limit: int) -> list[tuple[Path, str]]:
    left, links = limit, []
    for number, entry in enumerate(_read_entries(archive, limit)):
        place = folder / _check_name(entry.name)
        if number >= MOST_ENTRIES:
            raise FunctionError(f"the archive has more than {MOST_ENTRIES} entries")
        if entry.is_folder:
            _make_folder(place, folder)
        elif place == folder:
            raise FunctionError(f"the entry {entry.name!r} of the archive stands for its folder, and is none")
        elif entry.target:
            links.append((place, entry.target))
        else:
            _make_folder(place.parent, folder)
            left -= _write(entry, place, limit=left)
    return links


def _make_folder(place: Path, folder: Path) -> None:
    """Make a folder and those above it, unless a link of the archive leads any of them out of its own folder."""
    there = next(path for path in (place, *place.parents) if path.exists() or path.is_symlink())
    if not _stays_within(there, folder):
        raise FunctionError(f"the archive has an entry below the link {there.name!r}, which leads out of its folder")
    place.mkdir(parents=True, exist_ok=True)


def _stays_within(place: Path, folder: Path) -> bool:
    """Return whether a place is, or leads to, something in the folder, by whatever links."""
    try:
        return place.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _leads_within(place: Path, folder: Path) -> bool:
    """Return whether a link leads to a place in the folder, be there something or not."""
    try:
        return place.resolve(strict=True).is_relative_to(folder.resolve())
    except FileNotFoundError:
        return place.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def find_leaving_links(folder: Path) -> Iterator[str]:
    """Yield the links below a folder that lead out of it, by their paths in it."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink() and not _leads_within(path, folder):
                yield path.relative_to(folder).as_posix()


def _check_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise FunctionError(f"the entry {name!r} of the archive leads out of its folder")
    return path


def _write(entry: Entry, place: Path, *, limit: int) -> int:
    source = entry.open()
    if source is None:
        raise FunctionError(f"the entry {entry.name!r} of the archive is no file")
    with source, place.open("wb") as file:
        written = _copy(source, file, limit=limit)
    place.chmod(0o755 if entry.is_executable else 0o644)
    return written


def _read_entries(archive: Path, limit: int) -> Iterator[Entry]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            yield from map(_Zipped(bundle), bundle.infolist())
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle:
            yield from map(_Taped(bundle), bundle)
    elif kind := _find_kind(archive):
        with _open_converted(archive, kind, limit=limit + MOST_ENTRIES * _ENTRY_BYTES) as bundle:
            yield from map(_Taped(bundle), bundle)
    else:
        raise FunctionError(f"that is no archive of a known kind; make it one of {_FORMATS}")


@dataclass(frozen=True)
class _Zipped:
    bundle: zipfile.ZipFile

    def __call__(self, info: zipfile.ZipInfo) -> Entry:
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode):
            return Entry(info.filename, target=_check_target(self._read_target(info)))
        return Entry(info.filename, info.is_dir(), bool(mode & 0o100), open=lambda: self.bundle.open(info))

    def _read_target(self, info: zipfile.ZipInfo) -> str:
        with self.bundle.open(info) as file:
            target = file.read(_TARGET_BYTES + 1)
        if len(target) > _TARGET_BYTES:
            raise FunctionError(f"the link {info.filename!r} in the archive has a target longer than any path")
        return target.decode(errors="replace")


@dataclass(frozen=True)
class _Taped:
    bundle: tarfile.TarFile

    def __call__(self, info: tarfile.TarInfo) -> Entry:
        if info.issym():
            return Entry(info.name, target=_check_target(info.linkname))
        # A hard link is read as the entry of the archive that it names, and never as a file of this machine.
        return Entry(info.name, info.isdir(), bool(info.mode & 0o100), open=lambda: self.bundle.extractfile(info))


def _check_target(target: str) -> str:
    if not target or target.startswith("/") or "\0" in target:
        raise FunctionError(f"a link in the archive leads to {target!r}, out of its folder")
    return target
