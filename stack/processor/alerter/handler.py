"""The alerter's handler: messages change which alerts fire, and Alertmanager is told of those again and again."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

import urllib3
from nuclio_sdk import Context, Event, Response

from stack.contract import ALERTMANAGER_URL, ESCALATION_VARIABLE, FEEDBACK_FOLDER, RETRY_HEADER, STORE_URL
from stack.processor.alerter.message import NoAlertError, read_message
from stack.processor.alerter.state import AlertState, Escalation, MessageAlert, load_state

# Seconds between two times that Alertmanager, which may have been started again, is told of all; and after a failure.
_AGAIN, _SOON = 30.0, 2.0
_TIMEOUT = urllib3.Timeout(connect=2.0, read=10.0)
_ALERTS, _IMPORT = "/api/v2/alerts", "/api/v1/import/prometheus"
_FAILED = 300
# What values of JSON that are deep, large or no text can lead to.
_ODD = (ValueError, TypeError, RecursionError, OverflowError)


@dataclass(frozen=True)
class Options:
    """Where Alertmanager is, and the store, if there is one; and when others are told, too."""

    alertmanager: str
    store: str = ""
    escalation: Escalation = field(default_factory=Escalation)


class Teller(Thread):
    """Tells Alertmanager, and the store what fires, as vmalert does; a thread, so that no message waits for that."""

    def __init__(self, state: AlertState, lock: Lock, logger: Any, options: Options) -> None:
        super().__init__(name="alerts", daemon=True)
        self._state, self._lock, self._logger = state, lock, logger
        self._pool, self._escalation = _open_pool(options.alertmanager), options.escalation
        self._store = _open_pool(options.store) if options.store else None
        self._changed = Flag()
        self._is_failing = False

    def tell(self) -> None:
        """Say that something has changed."""
        self._changed.set()

    def run(self) -> None:
        """Tell what has changed at once, and all again and again."""
        while True:
            self._changed.clear()
            self._changed.wait(_AGAIN if self.tell_all() else _SOON)

    def tell_all(self) -> bool:
        """Tell all; return whether Alertmanager has taken it."""
        with self._lock:
            self._state.forget(time.time())
            firing = list(self._state.firing.values())
            alerts = [more for one in self._state.alerts for more in self._escalation.apply(one, time.time())]
        try:
            _post(self._pool, _ALERTS, json.dumps([one.describe() for one in alerts]).encode())
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._is_failing:
                self._logger.warn_with("Alertmanager is not told of alerts yet", reason=str(error))
            self._is_failing = True
            return False
        self._is_failing = False
        if self._store and firing:
            # The history is worth a try, and no more: people are told without it.
            with suppress(urllib3.exceptions.HTTPError, OSError):
                _post(self._store, _IMPORT, "\n".join(map(_write_line, firing)).encode())
        return True


class Alerter:
    """The alerts that fire, and who is told of them."""

    def __init__(self, state: AlertState, lock: Lock, teller: Teller) -> None:
        self._state, self._lock, self._teller = state, lock, teller

    def take(self, events: Sequence[Event]) -> list[Response]:
        """Take the messages of some events; return a response for each that is no alert.

        Raises:
            OSError: there is no room on the disk.
        """
        refusals = []
        with self._lock:
            for event in events:
                try:
                    self._state.apply(read_message(event.body, event.headers or {}))
                except (NoAlertError, *_ODD) as error:
                    # However odd a message is, the others of its batch are told.
                    refusals.append(_refuse(event, str(error) or type(error).__name__))
            self._state.save()
        self._teller.tell()
        return refusals


def _open_pool(address: str) -> urllib3.HTTPConnectionPool:
    url = urllib3.util.parse_url(address)
    headers = urllib3.make_headers(basic_auth=url.auth) if url.auth else {}
    return urllib3.HTTPConnectionPool(url.host or "", url.port, headers=headers, timeout=_TIMEOUT, retries=False)


def _post(pool: urllib3.HTTPConnectionPool, path: str, body: bytes) -> None:
    answer = pool.request("POST", path, body=body, headers={**pool.headers, "Content-Type": "application/json"})
    if answer.status >= _FAILED:
        raise OSError(f"status {answer.status}: {answer.data[:200].decode(errors='replace').strip()}")


def _write_line(alert: MessageAlert) -> str:
    """Write an alert as vmalert writes those that fire into the store."""
    labels: Mapping[str, str] = {**alert.labels, "alertstate": "firing"}
    inner = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return f"ALERTS{{{inner}}} 1"


def _refuse(event: Event, reason: str) -> Response:
    """Return the answer that makes a dead letter of an event at once."""
    return Response({RETRY_HEADER: "no"}, reason, "text/plain", 500, event_id=event.id)


def init_context(context: Context) -> None:
    """Go on with what fired when it ended."""
    state, lock = load_state(Path(FEEDBACK_FOLDER)), Lock()
    path = Path("/run/secrets", STORE_URL)
    store = path.read_text().strip() if path.is_file() else ""
    escalation = Escalation(**json.loads(os.environ.get(ESCALATION_VARIABLE, "{}")))
    options = Options(os.environ[ALERTMANAGER_URL], store, escalation)
    teller = Teller(state, lock, context.logger, options)
    teller.start()
    context.user_data.alerter = Alerter(state, lock, teller)


def handler(context: Context, events: Sequence[Event]) -> list[Response]:
    """Take the messages of a batch."""
    responses: list[Response] = context.user_data.alerter.take(events)
    return responses
