"""The service of devices from outside: what tasks and the dashboard ask it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from urllib3.exceptions import HTTPError

from stack.docker.stack import Stack
from stack.errors import (
    ConfigError,
    ConflictError,
    DeviceError,
    DeviceServiceError,
    EngineError,
    HostError,
    StackError,
)
from stack.plan.device_account import LOGIN_PORT, SERVICE
from stack.plan.gateway import CONTROL
from stack.state.http_client import explain, open_local_pool
from stack.state.workspace import is_inside

_TIMEOUT = 15.0
# Devices that may be named at once.
MOST_NAMES = 1000
_BAD_REQUEST = 400
_ERRORS: dict[int, type[StackError]] = {404: DeviceError, 409: ConflictError}
_WRONG = (400, 422)


class DeviceService:
    """The service, for Tidegate's own programs."""

    def __init__(self, host: str, port: int = LOGIN_PORT) -> None:
        self._url = f"http://{host}:{port}"
        self._pool = open_local_pool()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        """Return what it answers, None if nothing.

        Raises:
            ConfigError: what is asked is wrong.
            ConflictError: what is to be changed is another by now.
            DeviceError: there is no such device, or nothing of it.
            DeviceServiceError: it does not answer, or the broker does not.
        """
        url = self._url + path + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, url, body=content, timeout=timeout)
        except HTTPError as error:
            raise DeviceServiceError(
                f"The service {SERVICE} does not answer: {explain(error)}. `invoke status` says how it is; "
                "`invoke up` starts it."
            ) from error
        if answer.status >= _BAD_REQUEST:
            raise _build_error(answer.status, answer.data)
        return json.loads(answer.data) if answer.data else None


def name_path(device: str, what: str = "") -> str:
    """Return the path of a device, or of what belongs to it."""
    return f"/devices/{quote(device, safe='')}" + (f"/{what}" if what else "")


def find_device_service(stack: Stack) -> DeviceService:
    """Return the stack's service of devices, as this program reaches it.

    Raises:
        DeviceServiceError: it does not run.
    """
    if is_inside():
        return DeviceService(SERVICE)
    try:
        running = [one for one in stack.engine.listed() if one.service == SERVICE and one.is_running]
        address = stack.engine.address(running[0], CONTROL) if running else ""
    except (EngineError, HostError) as error:
        raise DeviceServiceError(f"The service {SERVICE} cannot be found: {error}") from error
    if not address:
        way = "`invoke up` starts it" if stack.bare_inputs.has_devices else "`invoke device add NAME` adds the first"
        raise DeviceServiceError(f"The service {SERVICE} does not run, which knows how devices are; {way}.")
    return DeviceService(address)


def _build_error(status: int, body: bytes) -> StackError:
    text = _read_error(body) or f"The service {SERVICE} answers with status {status}."
    return ConfigError([text]) if status in _WRONG else _ERRORS.get(status, DeviceServiceError)(text)


def _read_error(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:500].decode(errors="replace").strip()
