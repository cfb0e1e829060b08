"""/api/function_invocations: a call that the dashboard passes on to a function, and its answer as it comes."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send
from yarl import URL

from stack.contract import CALLER_HEADER, HTTP_PORT, parse_duration, prove
from stack.dashboard.api.function_object import find_addresses, find_record
from stack.dashboard.api.platform import find_addresses as find_hosts
from stack.dashboard.api.request import is_true
from stack.dashboard.services import Services, services_of
from stack.docker.engine import Engine
from stack.plan.gateway import OWN_HEADER
from stack.plan.trigger.http import find_http
from stack.run.catalogue import FunctionRecord
from stack.run.invocation import TIMEOUT_SECONDS, find_call_url
from stack.state.access import show_proof
from stack.state.vault import function_signature_key

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
_WITHOUT_BODY = ("GET", "HEAD")
# Of one connection only, or said again for the next.
_PER_HOP = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
_OF_CONNECTION = frozenset((*_PER_HOP, "host", "expect", "date"))
# What lets somebody in at the dashboard is not for functions.
_PRIVATE = frozenset(("authorization", "cookie", "x-csrf-token", CALLER_HEADER.lower(), OWN_HEADER.lower()))
# Content that a browser would run.
_ACTIVE = ("html", "xml", "javascript", "ecmascript")
# Of the numbers that a function may answer, up to 999, the server here can say those that HTTP has a meaning for.
_HIGHEST_STATUS = 599


@dataclass(frozen=True)
class _Call:
    """What is passed on."""

    request: Request
    url: URL
    seconds: float
    name: str
    key: bytes
    proof: str = ""
    """What lets it past the gateway's login; empty where the call does not go by the gateway."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return the client's headers, but for those that are not meant for the function."""
        given = [(name, value) for name, value in self.request.headers.items() if name not in _OF_CONNECTION | _PRIVATE]
        if self.request.method in _WITHOUT_BODY:
            given = [(name, value) for name, value in given if name != "content-length"]
        own = [(OWN_HEADER, self.proof)] if self.proof else []
        return [*given, *own, ("x-nuclio-target", self.name), (CALLER_HEADER, prove(self.key, time.time()))]

    @property
    def body(self) -> AsyncIterator[bytes] | None:
        """Return the client's body as it comes; as in Nuclio, a GET has none."""
        has_body = "content-length" in self.request.headers or "transfer-encoding" in self.request.headers
        return self.request.stream() if has_body and self.request.method not in _WITHOUT_BODY else None


def routes() -> list[BaseRoute]:
    """Return the routes of this resource; what stands behind its path says nothing, as in Nuclio."""
    return [
        Route("/api/function_invocations", _invoke, methods=_METHODS),
        Route("/api/function_invocations/{path:path}", _invoke, methods=_METHODS),
    ]


async def _invoke(request: Request) -> Response:
    name = request.headers.get("x-nuclio-function-name", "")
    if not name:
        raise HTTPException(400, "Function name must be provided in the header X-Nuclio-Function-Name")
    seconds = _read_timeout(request)
    record = await find_record(services_of(request), name)
    if record is None:
        raise HTTPException(404, f"Function not found: {name}")
    await _check_url(request, record)
    path = request.headers.get("x-nuclio-path", "").lstrip("/")
    # What is encoded already stays as it is.
    there = f"{await _find_url(services_of(request), record)}/{quote(path, safe='/?&=%:@!$()*+,;~' + chr(39))}"
    try:
        key = await run_in_threadpool(function_signature_key, services_of(request).workspace, record.name)
        proof = await run_in_threadpool(show_proof, services_of(request).workspace) if record.url else ""
        return await _pass_on(_Call(request, URL(there, encoded=True), seconds, name, key, proof))
    except TimeoutError:
        return _fail(504, f"it did not answer within {seconds:g} s")
    except (ClientError, OSError) as error:
        return _fail(502, str(error) or type(error).__name__)


async def _pass_on(call: _Call) -> Response:
    """Call the function; its answer goes on as it comes, and both connections end together.

    Raises:
        ClientError: it cannot be reached, or answers what cannot be passed on.
        TimeoutError: it has not answered in time.
    """
    opened = AsyncExitStack()
    try:
        session = await opened.enter_async_context(
            ClientSession(auto_decompress=False, trust_env=False, timeout=ClientTimeout(total=call.seconds))
        )
        calling: Any = session.request(
            call.request.method, call.url, headers=call.headers, data=call.body, allow_redirects=False
        )
        answer: ClientResponse = await opened.enter_async_context(calling)
        if answer.status > _HIGHEST_STATUS:
            raise ClientError(f"it answered with status {answer.status}, which HTTP does not know")
    except BaseException:
        await opened.aclose()
        raise
    return _Relay(call.request, answer, opened)


class _Relay(StreamingResponse):
    """A function's answer on its way; the function's connection is closed with the client's."""

    def __init__(self, request: Request, answer: ClientResponse, opened: AsyncExitStack) -> None:
        super().__init__(answer.content.iter_any(), answer.status)
        self.raw_headers = _answer_headers(request, answer)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self._opened:
            await super().__call__(scope, receive, send)


def _answer_headers(request: Request, answer: ClientResponse) -> list[tuple[bytes, bytes]]:
    """Return all headers of an answer, the function's log too, which Nuclio's dashboard keeps to itself.

    A browser would keep a cookie for the dashboard; and a client may ask that nothing in the answer can run there.
    """
    is_browser = "sec-fetch-site" in request.headers or "origin" in request.headers
    left_out = _OF_CONNECTION | ({"set-cookie"} if is_browser else set())
    headers = [
        (name.lower(), value) for name, value in answer.raw_headers if name.decode("latin-1").lower() not in left_out
    ]
    if is_true(request.headers.get("x-nuclio-sanitize-response")) and any(
        one in answer.content_type for one in _ACTIVE
    ):
        headers = [(name, value) for name, value in headers if name != b"content-type"]
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    return headers


async def _check_url(request: Request, record: FunctionRecord) -> None:
    """Refuse an address that is not the function's; which one of its own it is makes no difference."""
    wanted = request.headers.get("x-nuclio-invoke-url", "")
    if not wanted:
        return
    stack = await run_in_threadpool(services_of(request).stack)
    inside, outside = find_addresses(record, find_hosts(request, stack.settings)[0])
    if wanted not in (*inside, *outside):
        raise HTTPException(400, f"Invalid URL for function {record.name}: {wanted}")


async def _find_url(services: Services, record: FunctionRecord) -> str:
    if not record.is_deployed:
        raise HTTPException(412, f"Function {record.name} is not deployed")
    if not find_http(record.triggers):
        raise HTTPException(412, f"Function {record.name} has no http trigger")
    if url := find_call_url(record.name, record.url):
        return url
    engine = (await run_in_threadpool(services.stack)).engine
    if address := await run_in_threadpool(_find_address, engine, record.name):
        return f"http://{address}:{HTTP_PORT}"
    raise HTTPException(412, f"Function {record.name} has no container that works")


def _find_address(engine: Engine, name: str) -> str:
    """Return where one of a function's containers is, for a dashboard that runs outside of the stack."""
    ready = [one for one in engine.containers() if one.function == name and one.is_ready]
    return ready[0].network_address if ready else ""


def _read_timeout(request: Request) -> float:
    text = request.headers.get("x-nuclio-invoke-timeout", "")
    try:
        return parse_duration(text) if text else TIMEOUT_SECONDS
    except ValueError as error:
        raise HTTPException(400, f"X-Nuclio-Invoke-Timeout {error}") from error


def _fail(status: int, why: str) -> Response:
    return JSONResponse({"error": f"Failed to invoke function: {why}".replace('"', "'")}, status)
