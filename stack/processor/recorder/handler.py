"""The recorder's handler: a batch of messages becomes one request to the store, which has it when this returns."""

import os
import time
from calendar import timegm
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nuclio_sdk import Context, Event, Response

from stack.contract import FEEDBACK_FOLDER, FIRST_FAILED, RETRY_HEADER, RULES_VARIABLE, STORE_URL
from stack.processor.recorder.message import NoReadingError
from stack.processor.recorder.recent import RecentLines
from stack.processor.recorder.rule import RuleSet, is_urgent, read_rules
from stack.processor.recorder.store import Flusher, Store, StoreError
from stack.processor.source.broker import Delays
from stack.processor.threads import start_thread

# Seconds between two attempts to have readings stored, at most.
_LONGEST_DELAY = 5.0
# Seconds after which what waits for the store goes into the queue of retries: the broker takes a message that is not
# acknowledged within seven days for lost.
_PATIENCE = 6 * 24 * 3600.0


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
    start_thread("watch", store.watch)
    context.user_data.recorder = Recorder(read_rules(rules), store, context.logger, flusher)


def handler(context: Context, events: Sequence[Event]) -> list[Response]:
    """Store the readings of a batch; events without a response are handled."""
    refusals: list[Response] = context.user_data.recorder.record(events)
    return refusals
