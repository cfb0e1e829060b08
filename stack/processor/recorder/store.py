"""The store of readings, as the recorder speaks to it: VictoriaMetrics over HTTP."""

import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread

import urllib3
from urllib3.connection import HTTPConnection

from stack.processor.recorder.recent import WRITTEN_AFTER, RecentLines

# Where VictoriaMetrics takes Prometheus' exposition format, and its answer.
_PATH, _TAKEN = "/api/v1/import/prometheus", 204
# What makes the store find what it has taken, which it else does after some seconds, and how often it is asked to.
_FLUSH_PATH, _FLUSH_SECONDS = "/internal/force_flush", 0.5
_HEALTH_PATH = "/health"
_TIMEOUT = urllib3.Timeout(connect=2.0, read=30.0)


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
        self._connections = self._watched = -1
        self._recent = recent
        self._lock = Lock()

    def send(self, lines: Sequence[str]) -> None:
        """Have lines stored.

        Raises:
            StoreError: they are not.
        """
        # Halves of characters, which JSON can have, are none in UTF-8.
        body = "".join(lines).encode(errors="replace")
        with self._lock:
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
        # What comes over this connection one store has; over another, made meanwhile, all is sent again.
        self._ask_health()
        made = _Connection.made
        for before in self._recent.read():
            self._post(before)
        self._recent.renew()
        self._connections = made

    def watch(self) -> None:
        """Have the store take what it lost, and drop what it has written, for as long as the process lives."""
        while True:
            time.sleep(WRITTEN_AFTER)
            self.settle()

    def settle(self) -> None:
        """Send a store that was started again what it lost, also where no reading comes; drop what it has written.

        That is what was taken before the last call, if the store has lived since: its connection has.
        """
        # A store that is away is told of by who sends readings to it.
        with self._lock, suppress(StoreError):
            if not self._is_connected():
                self.repeat()
            # What cannot be deleted now is with the next call.
            with suppress(OSError):
                self._recent.drop_written(is_same_store=self._connections == self._watched)
            self._watched = self._connections

    def _is_connected(self) -> bool:
        """Return whether the store answers on the connection on which it took what is kept."""
        self._ask_health()
        return _Connection.made == self._connections

    def _ask_health(self) -> None:
        try:
            self._pool.request("GET", _HEALTH_PATH)
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"{type(error).__name__}: {error}") from None

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
