"""The gatekeeper: knows the user's password and token, and who has shown them."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from stack.dashboard.security.client import count_as
from stack.dashboard.security.throttle import Throttle
from stack.run.secret.access import Access

# Credentials that were right are remembered, as keyed digests, since argon2 takes a twentieth of a second on purpose.
_MOST_REMEMBERED = 16


@dataclass
class Gatekeeper:
    """Lets the user in; without a login everybody is the user."""

    access: Access | None
    _throttle: Throttle = field(default_factory=Throttle)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _known: set[bytes] = field(default_factory=set)

    @property
    def generation(self) -> str:
        """Return what a session must carry to be of the current password."""
        return self.access.generation if self.access else ""

    async def takes_password(self, user: str, password: str, address: str) -> bool:
        """Say whether user and password are right; a wrong one takes its time, a right one waits for nobody.

        Raises:
            TooManyAttempts: they are wrong, and the address has too many attempts under way.
        """
        if self.access and self.access.takes_password(user, password):
            return True
        mark = hmac.digest(self._key, f"{user}\0{password}".encode(), "sha256")
        if mark in self._known:
            return True
        is_right = await self._throttle.attempt(count_as(address), lambda: self._verify(user, password))
        if is_right and len(self._known) < _MOST_REMEMBERED:
            self._known.add(mark)
        return is_right

    async def takes_header(self, header: str, address: str) -> bool:
        """Say whether an Authorization header, of the basic or bearer kind, is right.

        Raises:
            TooManyAttempts: the address has too many attempts under way.
        """
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return await self._takes_token(value.strip(), address)
        pair = _read_basic(value) if scheme.lower() == "basic" else None
        return pair is not None and await self.takes_password(*pair, address)

    async def _takes_token(self, token: str, address: str) -> bool:
        access = self.access
        if access and access.takes_token(token):
            return True

        async def refuse() -> bool:
            return False

        return await self._throttle.attempt(count_as(address), refuse)

    async def _verify(self, user: str, password: str) -> bool:
        """Compare with the hash of an older release's login; newer ones have a digest, which was compared."""
        if self.access is None or self.access.password_digest:
            return False
        async with self._turn:
            return await asyncio.to_thread(_matches, self.access, user, password)


def _matches(access: Access | None, user: str, password: str) -> bool:
    if access is None:
        return False
    is_right = True
    try:
        PasswordHasher().verify(access.password_hash, password)
    except (Argon2Error, InvalidHashError):
        is_right = False
    # Both are looked at, so that the time does not tell which was wrong.
    return hmac.compare_digest(_flatten(user), _flatten(access.user)) and is_right


def _flatten(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _read_basic(value: str) -> tuple[str, str] | None:
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if colon else None
