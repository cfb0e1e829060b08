"""Downloads: limited in size and time."""

import ssl
import string
import time
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from stack.config.settings import Downloads
from stack.errors import FunctionError

_CHUNK_BYTES = 1 << 18
# How long a server may say nothing.
_SILENCE = 30.0


class _Redirects(HTTPRedirectHandler):
    """Redirects that take a request's headers, which may be credentials, to no other host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the next request."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            following.headers.clear()
        return following


def download(url: str, target: Path, *, headers: Mapping[str, str], limits: Downloads, ca: Path | None) -> None:
    """Write what is behind an http or https URL into a file.

    Raises:
        FunctionError: it is no address, is not there, is too large, or takes too long.
    """
    shown, deadline = _hide_secrets(url), time.monotonic() + limits.seconds
    try:
        with _opener(ca).open(_ask(url, headers), timeout=min(_SILENCE, limits.seconds)) as answer:
            _receive(answer, target, limits, deadline)
    except HTTPError as error:
        error.close()
        raise FunctionError(
            f"{shown}: the server answered {error.code} {error.reason}. {_advise(error.code)}"
        ) from None
    except (TimeoutError, URLError, HTTPException, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise FunctionError(f"{shown}: {reason}. Check the address, and that this machine can reach it.") from error


def _receive(answer: HTTPResponse, target: Path, limits: Downloads, deadline: float) -> None:
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


def _opener(ca: Path | None) -> OpenerDirector:
    """Return an opener of http and https alone: urllib's own reads files of this machine too."""
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    opener = OpenerDirector()
    handlers = (ProxyHandler(), HTTPHandler(), HTTPSHandler(context=context), _Redirects())
    for handler in (*handlers, HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    return opener


def _advise(status: int) -> str:
    if status in (401, 403):
        return "It asks for an account: name a secret in spec.build.codeEntryAttributes.secret."
    return "Check spec.build.path and spec.build.codeEntryAttributes."


def _ask(url: str, headers: Mapping[str, str]) -> Request:
    """Return a request; an account in the URL, of which urllib knows nothing, becomes a header.

    Letters that no request can have are written as a browser writes them.
    """
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    basic = {"Authorization": "Basic " + b64encode(unquote(account).encode()).decode()} if account else {}
    host = host if host.isascii() else host.encode("idna").decode()
    return Request(urlunsplit(parts._replace(netloc=host, path=path, query=query)), headers=basic | dict(headers))


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
