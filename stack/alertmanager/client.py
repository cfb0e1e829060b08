"""Alerts that fire, and silences, as Alertmanager has them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from urllib3.exceptions import HTTPError

from stack.config.settings import FILE
from stack.docker.stack import Stack
from stack.errors import AlertError, ConfigError
from stack.plan.gateway import CONTROL
from stack.plan.notify import NO_ONE, PORT, SERVICE
from stack.state.http_client import explain, open_local_pool
from stack.state.workspace import is_inside

_TIMEOUT = 10.0
_NAME, _SEVERITY, _TEXT = "alertname", "severity", "text"
# Labels that are told by other means than in the list of labels.
_OWN = (_NAME, _SEVERITY, "alertgroup")
_BAD_REQUEST = 400
_FIGURE = re.compile(
    r'^alertmanager_notification_requests(_failed)?_total\{integration="(\w+)"(?:,receiver_name="([^"]*)")?\} (\S+)$',
    re.M,
)


@dataclass(frozen=True)
class FiringAlert:
    """An alert that fires; `silences` are the ids of what keeps people from being told."""

    labels: Mapping[str, str]
    text: str
    since: str
    silences: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    """The channels that are told of it, without a time at which they are silent."""
    is_muted: bool = False
    """Whether it is such a time."""

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.labels.get(_NAME, "")

    @property
    def severity(self) -> str:
        """Return how bad it is."""
        return self.labels.get(_SEVERITY, "")

    @property
    def own_labels(self) -> dict[str, str]:
        """Return the labels of its series, and those that its author gave it."""
        return {name: value for name, value in sorted(self.labels.items()) if name not in _OWN}


@dataclass(frozen=True)
class Silence:
    """What keeps people from being told of alerts with these labels."""

    id: str
    labels: Mapping[str, str]
    until: str
    by: str
    comment: str


class Alertmanager:
    """Alertmanager, for Tidegate's own programs."""

    def __init__(self, host: str, port: int = PORT) -> None:
        self._url = f"http://{host}:{port}"
        self._pool = open_local_pool()

    def list_alerts(self) -> list[FiringAlert]:
        """Return what fires, the oldest first.

        Raises:
            AlertError: Alertmanager does not answer.
        """
        return sorted(map(_read_alert, self._ask("GET", "/api/v2/alerts")), key=lambda one: one.since)

    def list_silences(self) -> list[Silence]:
        """Return the silences that are in force.

        Raises:
            AlertError: Alertmanager does not answer.
        """
        found = self._ask("GET", "/api/v2/silences")
        return [_read_silence(one) for one in found if one["status"]["state"] == "active"]

    def add_silence(self, labels: Mapping[str, str], seconds: float, *, by: str, comment: str) -> str:
        """Have no one told of alerts with these labels for a time; return the silence's id.

        Raises:
            AlertError: Alertmanager does not answer, or refuses it.
        """
        now = datetime.now(UTC)
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(seconds=seconds)).isoformat()}
        body = {"matchers": matchers, **times, "createdBy": by, "comment": comment}
        return str(self._ask("POST", "/api/v2/silences", body)["silenceID"])

    def end_silence(self, silence: Silence) -> None:
        """Have people told again.

        Raises:
            AlertError: Alertmanager does not answer.
        """
        self._ask("DELETE", f"/api/v2/silence/{silence.id}")

    def send(self, labels: Mapping[str, str], text: str, seconds: float) -> None:
        """Have an alert fire for a time.

        Raises:
            AlertError: Alertmanager does not answer, or refuses it.
        """
        now = datetime.now(UTC)
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(seconds=seconds)).isoformat()}
        self._ask("POST", "/api/v2/alerts", [{"labels": labels, "annotations": {_TEXT: text}, **times}])

    def count_sent(self, receiver: str, integration: str) -> int:
        """Return how often people were told by a channel, or by those of its kind where that is all that is counted.

        Raises:
            AlertError: Alertmanager does not answer.
        """
        found = _FIGURE.findall(self._fetch("GET", "/metrics").decode())
        own = [one for one in found if one[2] == receiver] or [one for one in found if one[1:3] == (integration, "")]
        return sum(int(float(value)) * (-1 if failed else 1) for failed, _, _, value in own)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._fetch(method, path, body=body)
        return json.loads(answer) if answer.strip() else None

    def _fetch(self, method: str, path: str, *, body: object = None) -> bytes:
        headers = {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, self._url + path, body=content, headers=headers, timeout=_TIMEOUT)
        except HTTPError as error:
            raise AlertError(
                f"{SERVICE} does not answer: {explain(error)}. `invoke status` says how it is; `invoke up` starts it."
            ) from error
        if answer.status >= _BAD_REQUEST:
            raise AlertError(f"{SERVICE} answers with status {answer.status}: {answer.data[:500].decode().strip()}")
        return answer.data


def find_alertmanager(stack: Stack) -> Alertmanager:
    """Return the stack's Alertmanager, as this program reaches it.

    Raises:
        ConfigError: the stack has none.
        AlertError: it does not run.
    """
    if not stack.bare_inputs.has_alertmanager:
        raise ConfigError([f"{FILE}: there are no alerts: alerts/ has none, and notify names no channels."])
    return Alertmanager(find_host(stack, SERVICE))


def find_host(stack: Stack, service: str) -> str:
    """Return where this program reaches a service that functions cannot reach.

    Raises:
        AlertError: it does not run.
    """
    if is_inside():
        return service
    running = [one for one in stack.engine.listed() if one.service == service and one.is_running]
    address = stack.engine.address(running[0], CONTROL) if running else ""
    if not address:
        raise AlertError(f"{service} does not run. `invoke up` starts it.")
    return address


def choose_alerts(alerts: Sequence[FiringAlert], name: str, *, labels: Mapping[str, str]) -> list[FiringAlert]:
    """Return the alerts of a name, all if it is empty, with these labels."""
    return [
        one for one in alerts if name in ("", one.name) and all(one.labels.get(key) == labels[key] for key in labels)
    ]


def _read_alert(found: Mapping[str, Any]) -> FiringAlert:
    status, annotations = found["status"], found["annotations"]
    receivers = tuple(one["name"] for one in found.get("receivers", ()) if one["name"] != NO_ONE)
    return FiringAlert(
        found["labels"],
        annotations.get(_TEXT, ""),
        found["startsAt"],
        tuple(status["silencedBy"]),
        receivers,
        is_muted=bool(status.get("mutedBy")),
    )


def _read_silence(found: Mapping[str, Any]) -> Silence:
    labels = {one["name"]: one["value"] for one in found["matchers"]}
    return Silence(found["id"], labels, found["endsAt"], found["createdBy"], found["comment"])
