"""The file of a backup: a tar, compressed, written and read as a stream, with the digest of each member.

What is larger than memory is a series of members, NAME/000000 and on. A passphrase, by scrypt, opens the key of the
backup, which its first members hold; the key opens all else (Fernet, of the library cryptography).
"""

import base64
import gzip
import hashlib
import io
import os
import posixpath
import sys
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stack.errors import HostError, StackError
from stack.plan.backup import (
    BROKER,
    HEADER,
    IMAGES,
    KEY,
    MANIFEST,
    SEALED,
    STATE,
    VOLUMES,
    WORKSPACE,
    Header,
    Manifest,
    Sealed,
)

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


_FOLDERS = (WORKSPACE, STATE, IMAGES, BROKER, VOLUMES)
_DOCUMENTS = (HEADER, KEY, MANIFEST, SEALED)
_CHANGED = "is not as it was written: a part of it was changed. Nothing was done with it."
# Far more than a manifest of a thousand functions takes.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Backup:
    """A backup that is as it was written."""

    path: Path
    manifest: Manifest
    sealed: Sealed
    key: bytes


def check_beginning(path: Path) -> None:
    """Make sure, before anybody is asked for a passphrase, that there is a file that begins as a backup does.

    Raises:
        HostError: there is none.
    """
    with reading(path) as members:
        info, content = next(members, (None, None))
        is_header = info is not None and info.name == HEADER and content is not None
        _read_header(path, {HEADER: content.read(_MOST_BYTES)} if is_header and content else {})


def read_backup(path: Path, word: str) -> Backup:
    """Read a backup to its end and check every part.

    Raises:
        StackError: it cannot be read, is damaged, cut off or changed, or the passphrase is another.
    """
    digests: dict[str, str] = {}
    kept: dict[str, bytes] = {}
    key = b""
    with reading(path) as members:
        for info, content in members:
            _check_member(path, info)
            if content is not None and info.name in _DOCUMENTS:
                kept[info.name] = content.read(_MOST_BYTES)
                digests[info.name] = hashlib.sha256(kept[info.name]).hexdigest()
                if info.name == KEY:
                    _read_header(path, kept)
                    key = open_key(kept[KEY], word)
            else:
                digests[info.name] = digest_link(info.linkname) if content is None else digest_of(content)
    return _check(path, digests, kept=kept, key=key)


def _check(path: Path, digests: dict[str, str], *, kept: dict[str, bytes], key: bytes) -> Backup:
    _read_header(path, kept)
    if not kept.keys() >= {KEY, MANIFEST, SEALED}:
        raise HostError(f"{path} is cut off. Nothing was changed; take another backup.")
    content = decrypt(key, kept[SEALED])
    found = {name: digest for name, digest in digests.items() if name not in (MANIFEST, SEALED)}
    try:
        sealed, manifest = Sealed.model_validate_json(content), Manifest.model_validate_json(kept[MANIFEST])
    except ValidationError as error:
        raise HostError(f"{path} {_CHANGED}") from error
    if sealed.manifest != digests[MANIFEST] or found != manifest.members:
        raise HostError(f"{path} {_CHANGED}")
    return Backup(path, manifest, sealed, key)


def _read_header(path: Path, kept: dict[str, bytes]) -> None:
    try:
        Header.model_validate_json(kept.get(HEADER, b""))
    except ValidationError as error:
        raise HostError(f"{path} is no backup of Tidegate's, or one of a later release.") from error


def _check_member(path: Path, info: tarfile.TarInfo) -> None:
    """Refuse what would be written anywhere else than where it belongs."""
    if not is_safe(info.name) or not (info.isreg() or (info.issym() and is_safe_link(info.name, info.linkname))):
        raise HostError(f"{path} holds {info.name!r}, which is no part of a backup. Nothing was changed.")


def is_safe(name: str) -> bool:
    """Return whether a member is a document of a backup, or below one of its folders."""
    place = PurePosixPath(name)
    if name in _DOCUMENTS:
        return True
    return name.startswith(_FOLDERS) and ".." not in place.parts and not place.is_absolute() and "\0" not in name


def is_safe_link(name: str, target: str) -> bool:
    """Return whether a symbolic link leads nowhere out of its folder of the backup."""
    top = name.partition("/")[0]
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return not target.startswith("/") and place.startswith(f"{top}/")


VARIABLE = "TIDEGATE_PASSPHRASE"
_WAYS = f"Type it when asked, or give --passphrase-file FILE or the variable {VARIABLE}."
_SHORTEST = 8
_SALT_BYTES, _KEY_BYTES = 16, 32
# 128 MiB of memory and half a second for each passphrase that somebody tries; the same on every machine.
_SCRYPT_COST = 2**17


class _LockedKey(BaseModel):
    """The key of a backup, as it is written: opened by a passphrase and this salt."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    salt: bytes
    scrypt_cost: int = Field(_SCRYPT_COST, ge=2**14, le=2**20)
    token: bytes


def choose_passphrase(file: str) -> str:
    """Return the passphrase of a new backup; a terminal is asked twice.

    Raises:
        StackError: there is none, it is too short, or the two differ.
    """
    word = _find_passphrase(file)
    if word is None:
        word = _ask("Passphrase of the backup, without which no one restores it: ")
        if _ask("Once more: ") != word:
            raise StackError("The two passphrases differ; nothing was done.")
    if len(word) < _SHORTEST:
        raise StackError(f"A passphrase has at least {_SHORTEST} characters. {_WAYS}")
    return word


def load_passphrase(file: str) -> str:
    """Return the passphrase of a backup that there is.

    Raises:
        StackError: there is none.
    """
    word = _find_passphrase(file)
    return _ask("Passphrase of the backup: ") if word is None else word


def new_key() -> bytes:
    """Return the key of a new backup."""
    return Fernet.generate_key()


def lock_key(key: bytes, word: str) -> bytes:
    """Return a key as it is written, which the passphrase opens."""
    salt = os.urandom(_SALT_BYTES)
    token = _derive(word, salt, cost=_SCRYPT_COST).encrypt(key)
    return _LockedKey(salt=base64.b64encode(salt), token=token).model_dump_json().encode()


def open_key(content: bytes, word: str) -> bytes:
    """Return the key of a backup.

    Raises:
        StackError: the passphrase is another, or this is no key.
    """
    try:
        locked = _LockedKey.model_validate_json(content)
        return _derive(word, base64.b64decode(locked.salt), cost=locked.scrypt_cost).decrypt(locked.token)
    except (InvalidToken, ValidationError, ValueError) as error:
        raise StackError(f"The passphrase is not that of this backup. Nothing was changed. {_WAYS}") from error


def encrypt(key: bytes, content: bytes) -> bytes:
    """Encrypt and sign a part of a backup."""
    return Fernet(key).encrypt(content)


def decrypt(key: bytes, content: bytes) -> bytes:
    """Return the content of a part of a backup.

    Raises:
        StackError: it was changed, or is of another backup.
    """
    try:
        return Fernet(key).decrypt(content)
    except InvalidToken as error:
        raise StackError("A part of the backup is not as it was written. Nothing was done with it.") from error


def _derive(word: str, salt: bytes, *, cost: int) -> Fernet:
    key = Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=8, p=1).derive(word.encode("utf-8", "surrogateescape"))
    return Fernet(base64.urlsafe_b64encode(key))


def _find_passphrase(file: str) -> str | None:
    if file:
        return _read(Path(file).expanduser())
    return os.environ.get(VARIABLE)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"{path} cannot be read: {error}. Name another --passphrase-file.") from error


def _ask(question: str) -> str:
    if not sys.stdin.isatty():
        raise StackError(f"There is no passphrase, and no one to ask for it. {_WAYS}")
    try:
        return getpass(question)
    except EOFError:
        return ""
