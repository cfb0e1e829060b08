"""Calls of devices: made, waited for, and listed with who made them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from stack import console
from stack.config.document import parse_model
from stack.contract import CALL_WAIT
from stack.devices.client import find_device_service, name_path
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, ConflictError, DeviceError, NoAnswerError, StackError
from stack.plan.device_call import CallRequest, CallState
from stack.run.devices.registry import read_name
from stack.run.devices.twin import write_time
from stack.state.deployment import load_author
from stack.state.devices import device_path, load_login

# Seconds that the service may take, besides those that the device has.
_SERVICE_SECONDS = 15.0
_CALLS = "calls"
# Characters of what is no JSON that an error shows.
_SHOWN = 200


def make_call(stack: Stack, name: str, said: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Make a call, wait for its answer as long as it says, and return what is known of it then.

    Raises:
        ConfigError: something of it is wrong.
        DeviceError: there is no such device.
        ConflictError: it is locked out, or has too many calls under way.
    """
    request = parse_model(CallRequest, dict(said), name=f"The call of {name}")
    _check_device(stack, name)
    if load_login(stack.workspace, name) is None:
        raise ConflictError(f"{name} is locked out. `invoke device rotate {name}` lets it in, with a new password.")
    body = {**request.model_dump(mode="json"), "by": by}
    timeout = request.wait + _SERVICE_SECONDS
    made: dict[str, Any] = find_device_service(stack).ask("POST", name_path(name, _CALLS), body, timeout=timeout)
    return made


def list_calls(stack: Stack, name: str, limit: int) -> list[dict[str, Any]]:
    """Return the last calls of a device, the newest first.

    Raises:
        DeviceError: there is no such device.
    """
    _check_device(stack, name)
    found = find_device_service(stack).ask("GET", name_path(name, _CALLS), query={"limit": limit})
    return list(found[_CALLS])


def find_call(stack: Stack, name: str, id: str, *, wait: float = 0) -> dict[str, Any]:
    """Return one call; with `wait` when it is over, or so many seconds have passed.

    Raises:
        DeviceError: there is no such call.
    """
    _check_device(stack, name)
    path = name_path(name, f"{_CALLS}/{quote(id, safe='')}")
    timeout = wait + _SERVICE_SECONDS
    found: dict[str, Any] = find_device_service(stack).ask("GET", path, query={"wait": int(wait)}, timeout=timeout)
    return found


@dataclass(frozen=True)
class CallCommand:
    """What was typed: `call`, or `calls`, which lists them."""

    action: str
    name: str
    method: str = ""
    data: str = ""
    wait: float = CALL_WAIT
    expires: str = ""


def handle_call(command: CallCommand, *, as_json: bool) -> None:
    """Do what was typed: make a call, and show its answer, or list the last calls.

    Raises:
        DeviceError: there is no such device, or it refused the call.
        NoAnswerError: there is no answer yet, or there was none in time.
        StackError: something of the command is wrong.
    """
    if not command.name:
        raise StackError("Name the device.")
    if command.action == "calls":
        _print_calls(command.name, as_json=as_json)
        return
    if not command.method:
        raise StackError(f"Name what {command.name} is to do: invoke device call {command.name} METHOD.")
    said = {"method": command.method, "data": read_data(command.data), "wait": command.wait}
    expires = {"expires": command.expires} if command.expires else {}
    call = make_call(open_stack(), command.name, said | expires, by=f"task {load_author()}")
    if as_json:
        console.show_json(call)
    elif call["state"] == CallState.ANSWERED:
        console.show(write_answer(call["answer"]))
    _check_answer(call, command.wait)


def _check_answer(call: Mapping[str, Any], wait: float) -> None:
    """Do nothing if a call was answered, or was not to be waited for.

    Raises:
        DeviceError: the device refused it.
        NoAnswerError: there is no answer.
    """
    name, method, state = call["device"], call["method"], call["state"]
    if state == CallState.REFUSED:
        reason = write_answer(call["answer"])
        raise DeviceError(f"{name} refused {method}{f': {reason}' if reason else ', and does not say why.'}")
    if state == CallState.ANSWERED:
        return
    if state == CallState.EXPIRED:
        raise NoAnswerError(f"{name} did not answer {method} in time, and is not asked for it any more.")
    where = f"{name} has it" if state == CallState.SENT else f"{name} is away, and it is kept for it"
    rest = f"{where}, until {_tell_local(call['expires'])}. `invoke device calls {name}` shows what becomes of it."
    if wait:
        raise NoAnswerError(f"{name} has not answered {method} within {wait:g} s: {rest}")
    console.success(f"The call {call['id']} is made: {rest}")


def _print_calls(name: str, *, as_json: bool) -> None:
    """List the last calls of a device, the newest first, with who made them."""
    found = list_calls(open_stack(), name, 50)
    if as_json:
        console.show_json(found)
    elif found:
        columns = ("made", "method", "data", "by", "state", "answer")
        console.show_table(columns, ({column: _write_cell(one, column) for column in columns} for one in found))
    else:
        console.say(f"{name} was not called. Next: `invoke device call {name} METHOD`.")


def read_data(text: str) -> Any:
    """Return what goes with a call, as it was typed.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        shown = _shorten(text)
        raise ConfigError([f"The data should be JSON, such as '{{\"valve\": 2}}', not {shown!r}: {error}."]) from error


def write_answer(answer: Any) -> str:
    """Return an answer as text: a text as it is, all else as JSON; what would steer a terminal is told by its name."""
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def _check_device(stack: Stack, name: str) -> None:
    """Look whether there is a device, without reading the files of all others."""
    if not device_path(stack.workspace, read_name(name)).is_file():
        raise DeviceError(f"There is no device {name}. `invoke devices` lists them.")


def _write_cell(one: Mapping[str, Any], column: str) -> str:
    value = one[column]
    if column == "state" and one["late"]:
        return f"{value}, {one['late']} too late"
    if column in ("data", "answer"):
        # --json has all of it.
        return "-" if value is None else _shorten(write_answer(value))
    return _tell_local(value) if column == "made" else str(value)


def _shorten(text: str) -> str:
    """Return the beginning of a text that would make each line of a table as long as it is."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _tell_local(moment: str) -> str:
    """Return a time of the API as this machine's clock shows it, as all lists do."""
    return write_time(datetime.fromisoformat(moment).timestamp())
