"""Logins of devices: what RabbitMQ's HTTP backend asks when its own check has refused a user.

It asks by a form with username, password, vhost and, for MQTT, client_id, and takes the words allow and deny
(rabbitmq_auth_backend_http). What the user may do then RabbitMQ decides by the user's own permissions. It asks at each
login and keeps no answer, so that a device is locked out as soon as its password is gone.
"""

from collections.abc import Callable, Mapping

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.device import NAME
from stack.plan.device_account import LOGIN_PATH
from stack.state.devices import load_login
from stack.state.workspace import Workspace

# Logins that are checked at a time, in threads of their own: what else is asked of the service may wait for seconds.
_THREADS = 8


def build_login_route(workspace: Workspace, is_barred: Callable[[str], bool]) -> BaseRoute:
    """Return the route that RabbitMQ asks; who is barred is refused for now."""
    limiter = CapacityLimiter(_THREADS)

    async def answer(request: Request) -> Response:
        async with request.form() as form:
            fields = {key: value for key, value in form.items() if isinstance(value, str)}
        is_allowed = await run_sync(may_log_in, workspace, fields, limiter=limiter)
        is_allowed = is_allowed and not is_barred(fields["username"])
        return PlainTextResponse("allow" if is_allowed else "deny")

    return Route(LOGIN_PATH, answer, methods=["POST"])


def may_log_in(workspace: Workspace, fields: Mapping[str, str]) -> bool:
    """Return whether a device may log in: with its own password, and over MQTT by its own client id."""
    name = fields.get("username", "")
    if not NAME.fullmatch(name) or fields.get("client_id", name) != name:
        return False
    login = load_login(workspace, name)
    return login is not None and login.takes(name, fields.get("password", ""))
