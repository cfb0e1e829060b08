"""Another dashboard, ours or Nuclio's own, over Nuclio's REST API."""

import json
import math
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import DecodeError, HTTPError

from stack.config.sites import name_address, split_address
from stack.errors import FunctionError, HostError
from stack.state.http_client import basic_authorization, explain, find_cause, open_local_pool, open_pool

# A bearer token, where the address has no user and password.
TOKEN_VARIABLE = "TIDEGATE_TOKEN"

# A server may hold its answer for a minute, until it has begun to build.
_TIMEOUT_SECONDS, _CONNECT_SECONDS = 90.0, 10.0
_MOST_BYTES = 64 * 2**20


class AwayError(HostError):
    """No one answers at present, which may be another thing soon."""


@dataclass(frozen=True)
class Answer:
    """What a dashboard answers: HTTP's status, and the JSON that came with it."""

    status: int
    document: Any
    was_away: bool = False
    """Whether no one answered at first."""

    @property
    def is_good(self) -> bool:
        """Return whether it did what was asked."""
        return self.status // 100 == 2

    @property
    def error(self) -> str:
        """Return its words for what went wrong."""
        return str(self.document["error"]) if self.has_words else f"status {self.status}"

    @property
    def has_words(self) -> bool:
        """Return whether it says what went wrong, as a dashboard does."""
        return isinstance(self.document, dict) and bool(self.document.get("error"))


@dataclass(frozen=True)
class RemoteDashboard:
    """A dashboard at an address, which is shown without the credentials that it may hold."""

    address: str
    authorization: str = field(default="", repr=False)
    deadline: float = math.inf
    """When its last answer has to be there, by the clock that only runs forward."""

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request to a path below /api; return the answer, whatever its status.

        Raises:
            AwayError: no one answers.
            HostError: somebody else does, asks for a login, or has a certificate that is not vouched for.
        """
        is_local = _is_local(urlsplit(self.address).hostname or "")
        seconds = min(_TIMEOUT_SECONDS, self.deadline - time.monotonic())
        if seconds <= 0:
            raise AwayError(f"{self.address} has not answered in time.")
        options: dict[str, Any] = {
            "headers": self._headers(headers or {}),
            "timeout": Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds),
            "preload_content": False,
        }
        try:
            # No redirect is followed: credentials and changes are for the address that was given.
            with (
                open_local_pool() if is_local else open_pool(self.address) as pool,
                pool.request(method, f"{self.address}/api/{path}", json=body, **options) as answer,
            ):
                return Answer(answer.status, self._read(answer))
        except (HTTPError, ValueError) as error:
            raise _refuse(self.address, error) from error

    def require(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request that has to succeed; return what came back.

        Raises:
            FunctionError: the dashboard refused it; the message has its words.
            HostError: no one answers, somebody else does, or asks for a login.
        """
        return self.expect(self.ask(method, path, body, headers))

    def fetch_mapping(self, path: str) -> dict[str, Any]:
        """Return what is at a path, which every dashboard answers with keys and values.

        Raises:
            FunctionError: the dashboard refused it; the message has its words.
            HostError: no one answers, somebody else does, or asks for a login.
        """
        return self.expect_mapping(self.ask("GET", path), path)

    def expect_mapping(self, answer: Answer, path: str) -> dict[str, Any]:
        """Return keys and values that came back with an answer that has to be good.

        Raises:
            FunctionError: it is not; the message has the dashboard's words.
            HostError: it is no dashboard that answers.
        """
        document = self.expect(answer)
        if not isinstance(document, dict):
            raise HostError(f"{_not_of_kind(self.address)}: it answers {json.dumps(document):.40} to {path}.")
        return document

    def expect(self, answer: Answer) -> Any:
        """Return what came back with an answer that has to be good.

        Raises:
            FunctionError: it is not; the message has the dashboard's words.
        """
        if not answer.is_good:
            # A dashboard has words for it.
            advice = "" if answer.has_words else ". Check that this is the address of a dashboard."
            raise FunctionError(f"{self.address} refused it: {answer.error}{advice}")
        return answer.document

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        login = {"Authorization": self.authorization} if self.authorization else {}
        return {"Content-Type": "application/json", "Accept": "application/json", **login, **headers}

    def _read(self, answer: BaseHTTPResponse) -> Any:
        if answer.status == 401:
            where = f"name a `secret` of it in sites.yaml, or put a token into the variable {TOKEN_VARIABLE}"
            advice = f"Type --via http://USER:PASSWORD@HOST, {where}."
            raise HostError(f"{self.address} asks for a login, or knows this one not. {advice}")
        if answer.status // 100 == 3:
            elsewhere = answer.headers.get("Location")
            raise HostError(f"{self.address} sends elsewhere, to {elsewhere}; type that after --via.")
        content = answer.read(_MOST_BYTES)
        try:
            return json.loads(content) if content else None
        except (ValueError, RecursionError):
            if answer.status in _AWAY:
                raise AwayError(f"{self.address} is away: {HTTPStatus(answer.status).phrase}.") from None
            raise HostError(f"{_not_of_kind(self.address)}: its answer is no JSON.") from None


# What a proxy answers while the dashboard behind it starts.
_AWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


# OpenSSL's numbers for a certificate that is vouched for: it begins later; it has ended, or is of another name.
_BEGINS_LATER, _NOT_GOOD = 9, (10, 62, 64)


def _refuse(address: str, error: Exception) -> HostError:
    """Return what to tell of a request that did not come to its end."""
    if refused := find_cause(error, ssl.SSLCertVerificationError):
        reason = refused.verify_message.rstrip(".")
        return HostError(f"{address} has a certificate that is not taken: {reason}. {_advise(refused)}")
    if (found := find_cause(error, DecodeError) or find_cause(error, HTTPException)) and _is_answer(found):
        return HostError(f"{_not_of_kind(address)}: its answer is no HTTP: {explain(error)}. Check the address.")
    return AwayError(f"{address} does not answer: {explain(error)}. Check the address, and that it runs.")


def _advise(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _BEGINS_LATER:
        return "Look at the clocks of both machines."
    if error.verify_code in _NOT_GOOD:
        return "There, `invoke certificates` makes another, and `--name` has more names in it."
    return "Name the file of its authority, .stack/secrets/tls/mounted/authority.pem there, in SSL_CERT_FILE."


def _is_answer(error: BaseException) -> bool:
    """Return whether somebody did answer; a line that was cut is no answer."""
    return not isinstance(error, ConnectionError | IncompleteRead)


def _not_of_kind(address: str) -> str:
    return f"{address} is no dashboard of Nuclio's kind"


def open_dashboard(url: str, login: str = "") -> RemoteDashboard:
    """Return the dashboard at a URL, such as http://user:password@host:8070.

    A login that is not in it is a token or USER:PASSWORD; without one a token may be in TIDEGATE_TOKEN.

    Raises:
        HostError: that is no URL.
    """
    try:
        parts = split_address(url)
    except ValueError:
        raise HostError("--via should be a dashboard's address, such as http://localhost:8070.") from None
    return RemoteDashboard(name_address(parts), _authorize(parts, login))


def _authorize(parts: SplitResult, login: str) -> str:
    if parts.username is not None:
        return basic_authorization(unquote(parts.username), unquote(parts.password or ""))
    user, colon, password = login.partition(":")
    if colon:
        return basic_authorization(user, password)
    token = login or os.environ.get(TOKEN_VARIABLE, "")
    return f"Bearer {token}" if token else ""


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
