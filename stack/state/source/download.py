"""Downloads: limited in size and time."""

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from stack.config.settings import Downloads
from stack.errors import FunctionError
from stack.state.http_client import StatusError, basic_authorization, explain, fetch

_CHUNK_BYTES = 1 << 18
# How long a server may say nothing.
_SILENCE = 30.0


def download(url: str, target: Path, *, headers: Mapping[str, str], limits: Downloads, ca: Path | None) -> None:
    """Write what is behind an http or https URL into a file.

    Raises:
        FunctionError: it is no address, is not there, is too large, or takes too long.
    """
    shown, deadline = _hide_secrets(url), time.monotonic() + limits.seconds
    address, account = _split_account(url)
    try:
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(ca)
        silence = min(_SILENCE, limits.seconds)
        with fetch(address, timeout=silence, headers=account | dict(headers), context=context) as answer:
            _receive(answer, target, limits, deadline)
    except StatusError as error:
        raise FunctionError(f"{shown}: the server answered {error.status} {error}. {_advise(error.status)}") from None
    except (HTTPError, OSError, ValueError) as error:
        raise FunctionError(
            f"{shown}: {explain(error)}. Check the address, and that this machine can reach it."
        ) from error


def _receive(answer: BaseHTTPResponse, target: Path, limits: Downloads, deadline: float) -> None:
    received = 0
    with target.open("wb") as file:
        # What is there by now: `read` waits, for longer than the limit, until there is a whole chunk.
        while chunk := answer.read1(_CHUNK_BYTES):
            received += len(chunk)
            if received > limits.bytes:
                raise FunctionError(
                    f"it is larger than {limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
                )
            if time.monotonic() > deadline:
                raise FunctionError(
                    f"it took longer than {limits.seconds} s; `downloads.seconds` in stack.yaml permits more"
                )
            file.write(chunk)


def _advise(status: int) -> str:
    if status in (401, 403):
        return "It asks for an account: name a secret in spec.build.codeEntryAttributes.secret."
    return "Check spec.build.path and spec.build.codeEntryAttributes."


def _split_account(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without the account in it, and that as a header."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    username, _, password = map(unquote, account.partition(":"))
    header = {"Authorization": basic_authorization(username, password)} if account else {}
    return urlunsplit(parts._replace(netloc=host)), header


def _hide_secrets(url: str) -> str:
    """Return a URL without what may be a secret in it.

    Raises:
        FunctionError: it is none.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FunctionError(f"what should be its address is none: {error}. Check spec.build.path.") from error
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
