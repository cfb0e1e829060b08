"""`context.devices`: calls of devices and their twins, asked of the service `devices` over `context.request`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stack.contract import CALL_REQUESTS, CALL_WAIT, MOST_CALL_WAIT, TWIN_REQUESTS

# Seconds that the service may take, besides those that the device has.
_SERVICE_SECONDS = 10.0
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")

# Returns what the service answers to a document at a topic, in so many seconds at most.
Ask = Callable[[str, dict[str, Any], float], Any]
_ANSWERED, _REFUSED = "answered", "refused"


class DeviceError(Exception):
    """A device has refused a call, or there is none of this name; the text says which."""


@dataclass(frozen=True)
class Twin:
    """What a device should be like, and what it says that it is like."""

    desired: dict[str, Any]
    reported: dict[str, Any]
    delta: dict[str, Any]
    """What of the desired the device has not reported."""
    version: int
    """Of the desired, one more with each change."""


@dataclass(frozen=True)
class Device:
    """One device, as a handler sees it."""

    name: str
    _ask: Ask = field(repr=False)

    def call(self, method: str, data: Any = None, *, wait: float = CALL_WAIT, expires: str = "") -> Any:
        """Have the device do something, and return what it answers: what its JSON holds, or a text.

        It is waited for `wait` seconds. `expires`, such as 10m, is how long the call is kept for a device that is away;
        without it as long as it is waited for, or for an hour where `wait` is 0, which returns None at once. Call it on
        a thread where the handler is async: `asyncio.to_thread(device.call, "open")`.

        Raises:
            DeviceError: the device refuses it, or there is no such device.
            TimeoutError: it has not answered in time.
            ValueError: `wait` is too long.
        """
        if not 0 <= wait <= MOST_CALL_WAIT:
            raise ValueError(f"wait should be seconds, at most {MOST_CALL_WAIT:g}, not {wait}")
        lasts = expires or (f"{max(1, round(wait * 1000))}ms" if wait else "1h")
        asked = {"device": self.name, "method": method, "data": data, "wait": wait, "expires": lasts}
        made = self._request(CALL_REQUESTS, asked, wait)
        if made["state"] == _REFUSED:
            raise DeviceError(f"{self.name} refused {method}: {made['answer']}")
        if made["state"] != _ANSWERED and wait:
            rest = f"; it has until {made['expires']}" if expires else ""
            raise TimeoutError(f"{self.name} has not answered {method} within {wait:g} s{rest}")
        return made["answer"]

    @property
    def twin(self) -> Twin:
        """Return what the device should be like, and what it is like.

        Raises:
            DeviceError: there is no such device.
        """
        return self._change({})

    def set(self, values: dict[str, Any] | None = None, /, *, version: int | None = None, **more: Any) -> Twin:
        """Change what the device should be like: a value that is None goes, and objects are merged (RFC 7396).

        With a `version` only if the desired is of that one still.

        Raises:
            DeviceError: there is no such device, or another has changed it.
        """
        return self._change({"set": {**(values or {}), **more}, "version": version})

    def _change(self, change: dict[str, Any]) -> Twin:
        found = self._request(TWIN_REQUESTS, {"device": self.name, **change}, 0)
        return Twin(found["desired"], found["reported"], found["delta"], found["desiredVersion"])

    def _request(self, topic: str, document: dict[str, Any], wait: float) -> dict[str, Any]:
        answer = self._ask(topic, document, wait + _SERVICE_SECONDS)
        if not isinstance(answer, dict):
            raise DeviceError(f"{self.name}: the service of devices answered {answer!r}")
        if "error" in answer:
            raise DeviceError(str(answer["error"]))
        return answer


class Devices:
    """`context.devices`: each device by its name."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> Device:
        """Return a device; whether there is one is known when it is asked.

        Raises:
            KeyError: no device can have this name.
        """
        if not _NAME.fullmatch(name):
            raise KeyError(f"{name!r} is no name of a device")
        return Device(name, self._ask)


def open_devices(context: Any) -> Devices:
    """Return devices that are asked over the requests of a worker's context."""

    def ask(topic: str, document: dict[str, Any], timeout: float) -> Any:
        return context.request(topic, document, timeout).body

    return Devices(ask)


def prepare_devices(given: dict[str, Any]) -> Devices:
    """Return devices for a test, each a mapping of methods to answers, and of `twin` to one with desired and reported.

    An answer that is a DeviceError refuses, one that can be called is given the data, and a method without one is not
    answered.
    """

    def ask(topic: str, document: dict[str, Any], _timeout: float) -> Any:
        name = document["device"]
        if name not in given:
            return {"error": f"There is no device {name}: give one, invoke(…, devices={{{name!r}: {{…}}}})"}
        return (_change_twin if topic == TWIN_REQUESTS else _answer_call)(given[name], document)

    return Devices(ask)


def _answer_call(device: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    method = asked["method"]
    if method not in device:
        return {"state": "queued", "answer": None, "expires": "then"}
    found = device[method]
    answer = found(asked["data"]) if callable(found) else found
    is_refused = isinstance(answer, DeviceError)
    return {"state": _REFUSED if is_refused else _ANSWERED, "answer": str(answer) if is_refused else answer}


def _change_twin(device: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    twin = device.setdefault("twin", {})
    now = twin.setdefault("version", 0)
    if asked.get("version") not in (None, now):
        return {"error": f"What is desired of {asked['device']} has version {now} by now, and not {asked['version']}."}
    twin["desired"] = _merge(twin.get("desired", {}), asked.get("set") or {})
    reported = twin.setdefault("reported", {})
    twin["version"] = now + bool(asked.get("set"))
    delta = {key: value for key, value in twin["desired"].items() if reported.get(key) != value}
    return {"desired": twin["desired"], "reported": reported, "delta": delta, "desiredVersion": twin["version"]}


def _merge(before: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    known = before if isinstance(before, dict) else {}
    merged = {**known, **{key: _merge(known.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if value is not None}
