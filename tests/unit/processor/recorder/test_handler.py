"""A batch on its way to the store: what is refused, and how an absent store is waited for."""

import json
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from nuclio_sdk import Event, TriggerInfo

from stack.processor.recorder import handler as module
from stack.processor.recorder.handler import Recorder
from stack.processor.recorder.recent import RecentLines
from stack.processor.recorder.rule import read_rules
from stack.processor.recorder.store import Flusher, Store, StoreError, _Connection

RULE = {"trigger": "topics", "exchange": "amq.topic", "filter": "#", "values": {"t": None}, "labels": {}}
RULES = json.dumps({"retention": 1e9, "rules": [RULE]})


class AwayStore:
    """Does not answer so many times."""

    def __init__(self, times: int) -> None:
        self._left = times
        self.lines: list[str] = []

    def send(self, lines: list[str]) -> None:
        if self._left:
            self._left -= 1
            raise StoreError("it is away")
        self.lines += lines


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warn_with(self, text: str, **_fields: Any) -> None:
        self.lines.append(text)


def make_event(number: int, body: bytes, **headers: str) -> Event:
    trigger = TriggerInfo("rabbit-mq", "topics")
    return Event(body=body, path="amq.topic/a", _id=str(number), headers=headers or None, trigger=trigger)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def record(store: AwayStore, *events: Event) -> tuple[list[Any], Log]:
    log = Log()
    return Recorder(read_rules(RULES), store, log).record(events), log  # type: ignore[arg-type]


def test_one_that_is_no_reading_is_refused_alone() -> None:
    store = AwayStore(0)
    (refusal,), _ = record(store, make_event(1, b"1"), make_event(2, b"x"), make_event(3, b"3"))
    assert (refusal.event_id, refusal.status_code) == ("2", 500)
    assert (refusal.body, refusal.headers) == ("the body is no number: x", {"x-nuclio-retry": "no"})
    assert [line.split()[1] for line in store.lines] == ["1.0", "3.0"]


@pytest.mark.parametrize("body", [b"[" * 5000 + b"1" + b"]" * 5000, b"[" * 200_000, b'{"\\ud800":1}', b"\xff\x00{"])
def test_odd_one_keeps_no_other_from_the_store(body: bytes) -> None:
    store, rule = AwayStore(0), {**RULE, "takes_all": True}
    recorder = Recorder(read_rules(json.dumps({"retention": 1e9, "rules": [rule]})), store, Log())  # type: ignore[arg-type]
    refusals = recorder.record([make_event(1, b"1"), make_event(2, body), make_event(3, b"3")])
    assert [line.split()[1] for line in store.lines if "field" not in line] == ["1.0", "3.0"]
    assert {one.event_id for one in refusals} <= {"2"}


def test_one_that_no_one_has_thought_of_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    store, rules = AwayStore(0), read_rules(RULES)
    write = rules.write
    monkeypatch.setattr(rules, "write", lambda event, at: write(event, at) if event.id != "2" else 1 / 0)
    (refusal,) = Recorder(rules, store, Log()).record([make_event(n, b"1") for n in (1, 2, 3)])  # type: ignore[arg-type]
    assert (refusal.event_id, refusal.body, len(store.lines)) == ("2", "ZeroDivisionError: division by zero", 2)


def test_half_a_character_is_sent_as_another(recent: RecentLines) -> None:
    with closing(Server()) as server:
        Store(f"http://127.0.0.1:{server.port}", recent).send(['t{a="\ud800"} 1 1\n'])
        assert server.bodies == ['t{a="?"} 1 1\n']


def test_store_is_waited_for_and_that_is_told_once() -> None:
    store = AwayStore(3)
    refusals, log = record(store, make_event(1, b"1"))
    assert (len(store.lines), refusals) == (1, [])
    assert log.lines == ["The store does not take readings; they wait", "The store takes readings again"]


def test_store_that_stays_away_fails_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", -1.0)
    with pytest.raises(StoreError, match="it is away"):
        record(AwayStore(10**9), make_event(1, b"1"))


def test_message_that_comes_again_keeps_its_time() -> None:
    store = AwayStore(0)
    record(store, make_event(1, b"1", **{"x-nuclio-first-failed": "2026-11-29T03:00:00Z"}))
    assert store.lines == ["t{} 1.0 1795921200000\n"]


@pytest.fixture
def recent(tmp_path: Path) -> RecentLines:
    return RecentLines(tmp_path, "topics-0")


class Server:
    """Takes what is posted, and drops its connections when it is told to."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.flushed: SimpleQueue[str] = SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.status = 204
        self.closes = False
        self.refused = ""

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(503 if server.bodies[-1] == server.refused else server.status)
                self.send_header("Content-Length", "0")
                if server.closes:
                    self.send_header("Connection", "close")
                self.end_headers()

            def do_GET(self) -> None:
                server.flushed.put(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                if server.closes:
                    self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_what_was_taken_last_is_sent_again_over_a_new_connection(recent: RecentLines) -> None:
    with closing(Server()) as server:
        store = Store(f"http://me:secret@127.0.0.1:{server.port}", recent)
        store.send(["a\n"])
        store.send(["b\n"])
        assert server.bodies == ["a\n", "b\n"]
        server.closes = True
        store.send(["c\n"])
        store.send(["d\n"])
        assert server.bodies[2:] == ["c\n", "d\n", "a\nb\nc\n"]


def test_what_was_taken_last_is_sent_again_until_it_is_taken(recent: RecentLines) -> None:
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", recent)
        server.closes = True
        store.send(["a\n"])
        server.refused = "a\n"
        with pytest.raises(StoreError, match="status 503"):
            store.send(["b\n"])
        server.closes, server.refused = False, ""
        store.send(["b\n"])
        assert server.bodies == ["a\n", "b\n", "a\n", "b\n", "a\n"]


def test_what_was_taken_last_outlives_a_recorder_that_is_killed(tmp_path: Path) -> None:
    with closing(Server()) as server:
        for number in (0, 1):
            Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, f"topics-{number}")).send([f"{number}\n"])
        # A line that a loss of power has cut off was not acknowledged, and comes again.
        with (tmp_path / "topics-1.current").open("a") as file:
            file.write("cut o")
        server.bodies.clear()
        Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "topics-0")).repeat()
        assert server.bodies == ["1\n", "0\n"]


def test_only_the_last_seconds_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    recent = RecentLines(tmp_path, "topics-0")
    kept = []
    for line in (b"a\n", b"b\n", b"c\n", b"d\n"):
        recent.append(line)
        kept.append(b"".join(sorted(recent.read())))
        now += 10.0
    assert kept == [b"a\n", b"a\nb\n", b"a\nb\nc\n", b"a\nb\nc\nd\n"]
    now += 20.0
    recent.append(b"e\n")
    assert b"".join(sorted(recent.read())) == b"c\nd\ne\n"


def list_kept(store: Store, folder: Path) -> list[str]:
    """Return the files that are kept after one look at the store."""
    store.settle()
    return sorted(path.name for path in folder.iterdir())


def test_what_the_store_has_written_does_not_come_back_with_its_next_start(tmp_path: Path) -> None:
    (tmp_path / "former-0.current").write_text("x\n")
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "topics-0"))
        store.send(["a\n"])
        # Another worker's are sent with the first connection, and so written as well.
        assert list_kept(store, tmp_path) == ["former-0.current", "topics-0.current"]
        store.send(["b\n"])
        assert list_kept(store, tmp_path) == ["topics-0.current"]
        assert list_kept(store, tmp_path) == []
        store.send(["c\n"])
        server.bodies.clear()
        store.repeat()
        assert server.bodies == ["c\n"]


def test_what_a_store_may_not_have_written_before_it_was_killed_is_kept(tmp_path: Path) -> None:
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "topics-0"))
        server.closes = True
        store.send(["a\n"])
        for _ in range(3):
            # Each look makes a new connection, which might be to another process.
            assert list_kept(store, tmp_path) == ["topics-0.current"]
    assert list_kept(store, tmp_path) == ["topics-0.current"]


def test_store_that_was_started_again_gets_what_it_lost_without_a_new_reading(recent: RecentLines) -> None:
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", recent)
        server.closes = True
        store.send(["a\n"])
        server.closes = False
        store.settle()
        assert server.bodies == ["a\n", "a\n"]


def test_what_a_store_lost_is_kept_until_one_has_lived_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "topics-0"))
        # The store is another with each reading.
        server.closes = True
        for line in ("a\n", "b\n", "c\n"):
            store.send([line])
            now += 20.0
        server.bodies.clear()
        store.repeat()
        assert server.bodies == ["a\nb\nc\n"]


def test_what_was_deleted_does_not_come_back_with_the_first_reading_of_another_worker(tmp_path: Path) -> None:
    with closing(Server()) as server:
        idle = Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "exchange-0"))
        idle.repeat()
        # Each worker is a process of its own, which counts its own connections.
        made, _Connection.made = _Connection.made, 0
        Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path, "topics-0")).send(["deleted\n"])
        _Connection.made = made
        server.bodies.clear()
        idle.send(["a\n"])
        assert server.bodies == ["a\n"]


def test_no_room_to_note_what_is_taken_is_no_acknowledgement(tmp_path: Path) -> None:
    with closing(Server()) as server:
        store = Store(f"http://127.0.0.1:{server.port}", RecentLines(tmp_path / "missing", "topics-0"))
        with pytest.raises(StoreError, match="cannot be noted"):
            store.send(["a\n"])


def test_store_that_refuses_is_told_of(recent: RecentLines) -> None:
    with closing(Server()) as server:
        server.status = 503
        with pytest.raises(StoreError, match="status 503"):
            Store(f"http://127.0.0.1:{server.port}", recent).send(["a\n"])
    with pytest.raises(StoreError, match="NewConnectionError"):
        Store(f"http://127.0.0.1:{server.port}", recent).send(["a\n"])


def test_store_finds_at_once_what_alerts_wait_for() -> None:
    with closing(Server()) as server:
        flusher = Flusher(f"http://127.0.0.1:{server.port}")
        flusher.start()
        Recorder(read_rules(RULES), AwayStore(0), Log(), flusher).record([make_event(1, b"1")])  # type: ignore[arg-type]
        assert server.flushed.get(timeout=10) == "/internal/force_flush"
