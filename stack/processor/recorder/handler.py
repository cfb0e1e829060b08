"""The recorder's handler: a batch of messages becomes one request to the store, which has it when this returns."""

import os
import time
from calendar import timegm
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import urllib3
from nuclio_sdk import Context, Event, Response
from urllib3.connection import HTTPConnection

from stack.contract import FEEDBACK_FOLDER, FIRST_FAILED, RETRY_HEADER, RULES_VARIABLE, STORE_URL
from stack.processor.recorder.recent import RecentLines
from stack.processor.recorder.rule import NoReadingError, RuleSet, is_urgent, read_rules
from stack.processor.source.broker import Delays

# Where VictoriaMetrics takes Prometheus' exposition format, and its answer.
_PATH, _TAKEN = "/api/v1/import/prometheus", 204
# What makes the store find what it has taken, which it else does after some seconds, and how often it is asked to.
_FLUSH_PATH, _FLUSH_SECONDS = "/internal/force_flush", 0.5
_TIMEOUT, _LONGEST_DELAY = urllib3.Timeout(connect=2.0, read=30.0), 5.0
# Seconds after which what waits for the store goes into the queue of retries: the broker takes a message that is not
# acknowledged within seven days for lost.
_PATIENCE = 6 * 24 * 3600.0


class StoreError(Exception):
    """The store has not taken readings; the text says why."""


class _Connection(HTTPConnection):
    """Counts how often it was made: urllib3 makes it again without a word."""

    made = 0

    def connect(self) -> None:
        """Connect."""
        super().connect()
        type(self).made += 1


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


def _open_pool(kind: type[urllib3.HTTPConnectionPool], address: str) -> urllib3.HTTPConnectionPool:
    url = urllib3.util.parse_url(address)
    headers = urllib3.make_headers(basic_auth=url.auth) if url.auth else {}
    return kind(url.host or "", url.port, headers=headers, timeout=_TIMEOUT, retries=False, maxsize=1)


class Store:
    """The store of readings, over HTTP.

    What it has taken last is sent again over each new connection: a store that was killed has it then, and for another
    it is not new.
    """

    def __init__(self, address: str, recent: RecentLines) -> None:
        self._pool = _open_pool(_Pool, address)
        # With the first connection of this process, those are sent that were kept by the one before it.
        self._connections = -1
        self._recent = recent

    def send(self, lines: Sequence[str]) -> None:
        """Have lines stored.

        Raises:
            StoreError: they are not.
        """
        # Halves of characters, which JSON can have, are none in UTF-8.
        body = "".join(lines).encode(errors="replace")
        self._post(body)
        if _Connection.made != self._connections:
            self.repeat()
        try:
            self._recent.append(body)
        except OSError as error:
            raise StoreError(f"what it takes cannot be noted: {error}") from error

    def repeat(self) -> None:
        """Send once more what the store has taken last.

        Raises:
            StoreError: it is not taken.
        """
        made = _Connection.made
        for before in self._recent.read():
            self._post(before)
            made = _Connection.made
        self._connections = made

    def _post(self, body: bytes) -> None:
        try:
            answer = self._pool.request("POST", _PATH, body=body)
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"{type(error).__name__}: {error}") from None
        if answer.status != _TAKEN:
            raise StoreError(f"status {answer.status}: {answer.data[:200].decode(errors='replace').strip()}")


class Flusher(Thread):
    """Has the store find what it takes at once, as alerts need it; a thread, so that no reading waits for that."""

    def __init__(self, address: str) -> None:
        super().__init__(name="flush", daemon=True)
        self._pool = _open_pool(urllib3.HTTPConnectionPool, address)
        self._taken = Flag()

    def tell(self) -> None:
        """Say that the store has taken something."""
        self._taken.set()

    def run(self) -> None:
        """Flush after what was taken, once for all that is taken within half a second."""
        while self._taken.wait():
            self._taken.clear()
            # A store that does not answer is told of by who sends readings to it.
            with suppress(urllib3.exceptions.HTTPError):
                self._pool.request("GET", _FLUSH_PATH)
            time.sleep(_FLUSH_SECONDS)


class Recorder:
    """The rules, and the store that lines go to."""

    def __init__(self, rules: RuleSet, store: Store, logger: Any, flusher: Flusher | None = None) -> None:
        self._rules = rules
        self._store = store
        self._logger = logger
        self._flusher = flusher

    def record(self, events: Sequence[Event]) -> list[Response]:
        """Store the readings of some events; return a response for each that has none.

        Raises:
            StoreError: the store has taken nothing for days.
        """
        lines: list[str] = []
        refusals = []
        for event in events:
            try:
                lines += self._rules.write(event, _find_arrival(event))
            except NoReadingError as error:
                refusals.append(_refuse(event, str(error)))
            except Exception as error:
                # A message that is odd in a way not foreseen must not keep the others from the store.
                refusals.append(_refuse(event, f"{type(error).__name__}: {error}"))
        if lines:
            self._send(lines)
            if self._flusher:
                self._flusher.tell()
        return refusals

    def _send(self, lines: Sequence[str]) -> None:
        """Wait for the store as long as it takes, so that readings keep their order, and are not copied."""
        delays, deadline, waits = Delays(_LONGEST_DELAY), time.monotonic() + _PATIENCE, False
        while True:
            try:
                self._store.send(lines)
            except StoreError as error:
                if time.monotonic() > deadline:
                    raise
                if not waits:
                    self._logger.warn_with("The store does not take readings; they wait", reason=str(error))
                waits = True
                time.sleep(delays.next())
            else:
                if waits:
                    self._logger.info("The store takes readings again")
                return


def _find_arrival(event: Event) -> float:
    """Return when a message arrived first, in seconds since 1970; one that comes again has a note of that."""
    noted = (event.headers or {}).get(FIRST_FAILED)
    if isinstance(noted, str):
        with suppress(ValueError):
            return timegm(time.strptime(noted, "%Y-%m-%dT%H:%M:%SZ"))
    return time.time()


def _refuse(event: Event, reason: str) -> Response:
    text = reason.encode(errors="replace").decode()
    return Response({RETRY_HEADER: "no"}, text, "text/plain", 500, event_id=event.id)


def init_context(context: Context) -> None:
    """Read the rules, and where the store is."""
    url, rules = Path("/run/secrets", STORE_URL).read_text().strip(), os.environ[RULES_VARIABLE]
    flusher = Flusher(url) if is_urgent(rules) else None
    if flusher:
        flusher.start()
    store = Store(url, RecentLines(Path(FEEDBACK_FOLDER), f"{context.trigger.name}-{context.worker_id}"))
    with suppress(StoreError):
        # One that does not answer now is told with the next reading.
        store.repeat()
    context.user_data.recorder = Recorder(read_rules(rules), store, context.logger, flusher)


def handler(context: Context, events: Sequence[Event]) -> list[Response]:
    """Store the readings of a batch; events without a response are handled."""
    refusals: list[Response] = context.user_data.recorder.record(events)
    return refusals
