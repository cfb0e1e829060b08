"""A backup's file, read to its end and checked, before anything is done with it."""

import hashlib
import posixpath
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from stack.errors import HostError
from stack.plan.backup import BROKER, HEADER, IMAGES, KEY, MANIFEST, SEALED, STATE, WORKSPACE, Header, Manifest, Sealed
from stack.run.backup.archive import digest_link, digest_of, reading
from stack.run.backup.seal import decrypt, open_key

_FOLDERS = (WORKSPACE, STATE, IMAGES, BROKER)
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
    return _check(path, digests, kept, key)


def _check(path: Path, digests: dict[str, str], kept: dict[str, bytes], key: bytes) -> Backup:
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
