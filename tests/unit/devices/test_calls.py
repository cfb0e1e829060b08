"""Calls of devices: kept, sent once for each session, ended by the first answer or by none in time."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Lock, Thread

import pytest

from stack.devices.call_store import MOST_UNDER_WAY, SCHEMA, CallStore
from stack.devices.calls import Calls
from stack.errors import BrokerError, ConflictError, DeviceError
from stack.plan.device_call import (
    Call,
    CallRequest,
    CallState,
    describe_call,
    hears_calls,
    read_answer,
    read_answer_key,
)


class FakeWire:
    """A broker with one device, whose state a test sets."""

    def __init__(self) -> None:
        self.is_listening = False
        self.session: float | None = None
        self.is_taken = True
        self.on_hears: Callable[[], None] = lambda: None
        self.on_send: Callable[[], None] = lambda: None
        self.is_down = False
        self.sent: list[str] = []

    def hears(self, device: str) -> bool:
        if self.is_down:
            raise BrokerError("it does not answer")
        is_listening = self.is_listening
        self.on_hears()
        return is_listening

    def find_session(self, device: str) -> float | None:
        return self.session

    def send(self, call: Call, seconds: float) -> bool:
        assert 0 < seconds <= call.expires - call.made
        self.sent.append(call.id)
        self.on_send()
        return self.is_taken


@pytest.fixture
def store() -> Iterator[CallStore]:
    connection, lock = sqlite3.connect(":memory:", check_same_thread=False), Lock()
    connection.executescript(SCHEMA)

    @contextmanager
    def transaction() -> Iterator[sqlite3.Connection]:
        with lock, connection:
            yield connection

    with closing(connection):
        yield CallStore(transaction)


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


@pytest.fixture
def calls(store: CallStore, wire: FakeWire) -> Iterator[Calls]:
    found = Calls(store, wire, lambda device: device in ("pump-7", "pump-8"))
    yield found
    found.close()


def ask(calls: Calls, device: str = "pump-7", **said: object) -> Call:
    return calls.make(device, CallRequest.model_validate({"method": "open", **said}), "task: mara")


def settle(calls: Calls) -> None:
    for _ in range(2):
        for sender in calls._senders:
            sender.submit(lambda: None).result(60)


def test_a_call_goes_to_a_device_that_listens_and_ends_with_its_first_answer(
    calls: Calls, wire: FakeWire, store: CallStore
) -> None:
    wire.is_listening = True
    call = ask(calls, data={"valve": 2})
    assert (call.state, wire.sent) == (CallState.SENT, [call.id])
    future = calls.watch(call)
    calls.take_answer(f"tidegate.devices.pump-8.ack.{call.id}", b'{"by": "another"}')
    assert not future.done()
    calls.take_answer(f"tidegate.devices.pump-7.ack.{call.id}", b'{"ok": true}')
    calls.take_answer(f"tidegate.devices.pump-7.ack.{call.id}", b'{"ok": false}')
    ended = future.result(60)
    assert (ended.state, ended.answer) == (CallState.ANSWERED, {"ok": True})
    kept = store.find("pump-7", call.id)
    assert kept
    assert (kept.answer, kept.late, kept.by) == ({"ok": True}, 1, "task: mara")


def test_a_call_waits_for_a_device_that_is_away_and_is_sent_once(calls: Calls, wire: FakeWire) -> None:
    call = ask(calls)
    assert (call.state, wire.sent) == (CallState.QUEUED, [])
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == []
    wire.is_listening = True
    calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=False)
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == [call.id]


def test_what_a_session_holds_is_not_sent_again_and_what_is_lost_with_it_is(calls: Calls, wire: FakeWire) -> None:
    wire.is_listening, wire.session = True, 0.0
    call = ask(calls)
    calls.note_arrival("pump-7")
    calls.resume()
    settle(calls)
    assert wire.sent == [call.id]
    wire.is_listening = False
    calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=True)
    wire.is_listening = True
    calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=False)
    settle(calls)
    assert wire.sent == [call.id, call.id]
    wire.session = None
    calls.resume()
    settle(calls)
    assert wire.sent == [call.id] * 3


def test_a_session_that_began_after_a_call_was_sent_has_not_got_it(calls: Calls, wire: FakeWire) -> None:
    """The broker was killed, and the device was back before this was: no event tells of the older session's end."""
    wire.is_listening = True
    call = ask(calls)
    for since, count in ((time.time() - 60, 1), (time.time() + 60, 2)):
        wire.session = since
        calls.resume()
        settle(calls)
        assert wire.sent == [call.id] * count


@pytest.mark.parametrize("when", ["on_send", "on_hears"])
def test_a_call_is_not_lost_with_a_session_that_goes_meanwhile(calls: Calls, wire: FakeWire, when: str) -> None:
    """The recorder takes what is published to all topics, so that the broker confirms it without the session too."""
    wire.is_listening = True

    def lose_session() -> None:
        setattr(wire, when, lambda: None)
        wire.is_listening = False
        calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=True)

    setattr(wire, when, lose_session)
    call = ask(calls)
    settle(calls)
    kept = calls.find("pump-7", call.id)
    assert kept and (kept.state, len(wire.sent)) == (CallState.QUEUED, 1)
    wire.is_listening = True
    calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=False)
    settle(calls)
    kept = calls.find("pump-7", call.id)
    assert kept and (kept.state, len(wire.sent)) == (CallState.SENT, 2)


def test_what_no_queue_has_taken_stays_queued(calls: Calls, wire: FakeWire) -> None:
    wire.is_listening, wire.is_taken = True, False
    call = ask(calls)
    assert (call.state, call.sent) == (CallState.QUEUED, None)
    wire.is_taken = True
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == [call.id] * 2


def test_a_slow_broker_is_asked_once_for_all_that_wait(calls: Calls, wire: FakeWire) -> None:
    wire.is_listening, begun, go = True, Event(), Event()

    def send_slowly() -> None:
        begun.set()
        go.wait(60)

    wire.on_send = send_slowly
    first = Thread(target=ask, args=[calls])
    first.start()
    assert begun.wait(60)
    assert len({id(calls._submit("pump-7")) for _ in range(100)}) == 1
    go.set()
    first.join()


def test_an_answered_call_is_not_sent_again_when_its_session_ends(calls: Calls, wire: FakeWire) -> None:
    wire.is_listening = True
    call = ask(calls)
    calls.take_answer(f"tidegate.devices.pump-7.ack.{call.id}", b"")
    calls.note_queue("mqtt-subscription-pump-7qos1", is_gone=True)
    settle(calls)
    assert wire.sent == [call.id]


def test_a_call_ends_without_an_answer_and_is_sent_no_more(calls: Calls, wire: FakeWire, store: CallStore) -> None:
    call = ask(calls, expires="20ms")
    future = calls.watch(call)
    time.sleep(0.03)
    wire.is_listening = True
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == []
    calls.look()
    assert future.result(60).state == CallState.EXPIRED
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == []
    calls.take_answer(f"tidegate.devices.pump-7.ack.{call.id}", b"1")
    kept = store.find("pump-7", call.id)
    assert kept
    assert (kept.state, kept.answer, kept.late) == (CallState.EXPIRED, None, 1)


def test_what_the_broker_did_not_take_is_tried_again(calls: Calls, wire: FakeWire) -> None:
    wire.is_listening = wire.is_down = True
    call = ask(calls)
    assert call.state == CallState.QUEUED
    wire.is_down = False
    calls.look()
    settle(calls)
    assert wire.sent == [call.id]


def test_no_call_is_made_of_a_device_that_may_not_log_in(calls: Calls) -> None:
    with pytest.raises(DeviceError, match="no device pump-9"):
        ask(calls, "pump-9")


def test_a_device_has_only_so_many_calls_under_way(calls: Calls) -> None:
    for _ in range(MOST_UNDER_WAY):
        ask(calls)
    with pytest.raises(ConflictError, match="has 100 calls"):
        ask(calls)
    assert ask(calls, "pump-8").state == CallState.QUEUED


def test_another_device_of_a_removed_ones_name_gets_none_of_its_calls(calls: Calls, wire: FakeWire) -> None:
    future = calls.watch(ask(calls))
    calls.forget("pump-7")
    assert future.result(60).state == CallState.EXPIRED
    wire.is_listening = True
    calls.note_arrival("pump-7")
    settle(calls)
    assert wire.sent == []


def test_old_calls_go_and_those_under_way_stay(store: CallStore) -> None:
    first = Call("first", "pump-7", "open", None, "x", 0.0, 1e12)
    store.add(first)
    for number in range(1, 260):
        one = Call(f"c{number}", "pump-7", "open", None, "x", float(number), 1e12)
        store.add(one)
        store.end("pump-7", one.id, state=CallState.ANSWERED, answer=number, now=1.0)
    kept = store.list_last("pump-7", 1000)
    assert len(kept) in range(200, 205)
    assert (kept[0].id, kept[-1].id) == ("c259", "first")


@pytest.mark.parametrize(
    ("body", "state", "answer"),
    [
        (b"", CallState.ANSWERED, None),
        (b"21.5", CallState.ANSWERED, 21.5),
        (b"done", CallState.ANSWERED, "done"),
        (b"NaN", CallState.ANSWERED, "NaN"),
        (b"[1e999]", CallState.ANSWERED, "[1e999]"),
        (b'"\\ud800"', CallState.ANSWERED, '"\\ud800"'),
        (b"\xff", CallState.ANSWERED, "\ufffd"),
        (b'{"error": "no such valve"}', CallState.REFUSED, "no such valve"),
        (b'{"error": null}', CallState.ANSWERED, {"error": None}),
        (b"[" * 50000, CallState.ANSWERED, "[" * 50000),
        (b"[" * 100 + b"]" * 100, CallState.ANSWERED, "[" * 100 + "]" * 100),
        (b"x" * 70000, CallState.REFUSED, "the answer has 70000 bytes, of at most 65536"),
    ],
)
def test_an_answer_is_json_or_a_text(body: bytes, state: CallState, answer: object) -> None:
    assert read_answer(body) == (state, answer)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("tidegate.devices.pump-7.ack.c1", ("pump-7", "c1")),
        ("tidegate.devices.pump-7.cmd.c1", None),
        ("tidegate.devices.pump-7.ack", None),
        ("tidegate.devices.pump-7.ack.c1.x", None),
    ],
)
def test_the_topic_of_an_answer_names_its_call(key: str, found: tuple[str, str] | None) -> None:
    assert read_answer_key(key) == found


@pytest.mark.parametrize(
    ("key", "hears"),
    [
        ("tidegate.devices.pump-7.cmd.#", True),
        ("tidegate.devices.pump-7.cmd.*", True),
        ("tidegate.devices.*.cmd.*", True),
        ("tidegate.#", True),
        ("#", True),
        ("tidegate.devices.pump-7.cmd.c1", False),
        ("tidegate.devices.pump-7.cmd", False),
        ("tidegate.devices.pump-70.cmd.#", False),
        ("tidegate.devices.pump-7.cmd.*.*", False),
        ("plant.pump-7.cmd.#", False),
    ],
)
def test_a_device_hears_calls_where_it_has_subscribed_to_all_of_its_own(key: str, hears: bool) -> None:
    assert hears_calls("pump-7", ["plant.x", key]) is hears


def test_a_call_is_told_with_its_times_as_texts() -> None:
    told = describe_call(Call("c1", "pump-7", "open", {"valve": 2}, "task: mara", 0.0, 60.0))
    assert (told["made"], told["expires"], told["sent"], told["state"]) == (
        "1970-01-01T00:00:00.000+00:00",
        "1970-01-01T00:01:00.000+00:00",
        None,
        "queued",
    )
