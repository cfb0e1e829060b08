"""What is secret in a backup, and that no one changes it: encrypted and signed by the library cryptography.

A passphrase, by scrypt, opens the key of the backup, which its first members hold; the key opens all else (Fernet).
"""

import base64
import os
import sys
from getpass import getpass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stack.errors import HostError, StackError

VARIABLE = "TIDEGATE_PASSPHRASE"
_WAYS = f"Type it when asked, or give --passphrase-file FILE or the variable {VARIABLE}."
_SHORTEST = 8
_SALT_BYTES, _KEY_BYTES = 16, 32
# 128 MiB of memory and half a second for each passphrase that somebody tries; the same on every machine.
_SCRYPT_COST = 2**17


class _LockedKey(BaseModel):
    """The key of a backup, as it is written: opened by a passphrase and this salt."""

    model_config = ConfigDict(frozen=True)

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
    token = _derive(word, salt, _SCRYPT_COST).encrypt(key)
    return _LockedKey(salt=base64.b64encode(salt), token=token).model_dump_json().encode()


def open_key(content: bytes, word: str) -> bytes:
    """Return the key of a backup.

    Raises:
        StackError: the passphrase is another, or this is no key.
    """
    try:
        locked = _LockedKey.model_validate_json(content)
        return _derive(word, base64.b64decode(locked.salt), locked.scrypt_cost).decrypt(locked.token)
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


def _derive(word: str, salt: bytes, cost: int) -> Fernet:
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
