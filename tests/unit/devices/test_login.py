"""Logins of devices while the service is busy."""

import asyncio
from pathlib import Path

from anyio import fail_after
from anyio.to_thread import current_default_thread_limiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stack.devices.login import build_login_route
from stack.state.workspace import Workspace


async def log_in(workspace: Path) -> Response:
    """Log in while all that else is asked of the service waits."""
    route = build_login_route(Workspace(workspace), lambda _: False)
    assert isinstance(route, Route)
    limiter = current_default_thread_limiter()
    for _ in range(int(limiter.total_tokens)):
        limiter.acquire_on_behalf_of_nowait(object())

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"username=pump-7&password=x"}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    # It would wait for ever; a busy machine may stand still for some seconds.
    with fail_after(30):
        answer = await route.endpoint(Request({"type": "http", "method": "POST", "headers": headers}, receive))
    assert isinstance(answer, Response)
    return answer


def test_logins_wait_for_nothing_else(tmp_path: Path) -> None:
    assert asyncio.run(log_in(tmp_path)).body == b"deny"
