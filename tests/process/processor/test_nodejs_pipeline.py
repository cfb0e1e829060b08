"""Events that are sent ahead to the real Node.js: which of them is told what when the process ends."""

import json
import os
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nuclio_sdk import Event, TriggerInfo

from stack.processor.delivery import DeliveryQueue, Lost
from stack.processor.invocation import Invoker
from stack.processor.pipeline import Pipeline
from stack.processor.runtime.process import (
    DONE,
    INITIALISE,
    LOG,
    OUTPUT,
    RAISED,
    READY,
    REQUEST,
    Frame,
    HandlerProcess,
    _pack,
    take_note,
)
from stack.processor.runtime.registry import find_runtime
from stack.processor.testing import open_context
from stack.processor.worker_spec import Role, WorkerSpec
from tests.process.processor.running import FUNCTIONS, wait_for
from tests.unit.processor.test_pipeline import TRIGGER, Nowhere, Told

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")


def run(*bodies: str) -> list[str]:
    """Return what deliveries were told, in order, until the process has ended, or all are handled."""
    told: list[str] = []
    queue = DeliveryQueue()
    for body in bodies:
        queue.put(Told(body, told))
    queue.close()
    serve(queue)
    return told


def serve(queue: DeliveryQueue, drain: Callable[[Any], None] | None = None) -> None:
    runtime = find_runtime("nodejs")
    process = runtime.load_handler("later:handler", FUNCTIONS / "nodejs")
    assert isinstance(process, HandlerProcess)
    context: Any = open_context()
    context.outputs = SimpleNamespace()
    process.init_context(context)
    invoker = Invoker(
        process,
        context,
        build=lambda message: message,
        spec=WorkerSpec(TRIGGER, Role.WORKER),
        complete=lambda result: result,
        runtime=runtime,
    )
    pipeline = Pipeline(process, invoker, queue, context=context, interval=0.0)
    pipeline._die = lambda: process.exit_code or 1  # type: ignore[method-assign]
    pipeline.attach()
    try:
        if drain:
            invoker.drain = drain  # type: ignore[method-assign,assignment]
        if pipeline.serve(cast(Any, Nowhere())) == 0 and drain:
            pipeline.finish()
    finally:
        process.kill()


FINE = ["hold ok", "done ok"]


def test_only_the_event_that_fails_in_a_timer_is_blamed() -> None:
    told = run(*["ok"] * 200, "timer", *["ok"] * 200)
    assert told == [*FINE * 200, "hold timer", "Error: in a timer timer"]


def test_no_event_is_blamed_when_one_that_is_answered_ends_the_process() -> None:
    told = run(*["ok"] * 200, "leave 5", *["ok"] * 200)
    assert told[:402] == [*FINE * 200, "hold leave 5", "done leave 5"]
    assert told[402:] in ([], ["hold ok", "release ok"])


def test_no_event_is_blamed_for_the_timer_of_one_that_is_answered() -> None:
    told = run("ok", "timer-after", "sleep 2", "ok")
    assert told == [*FINE, "hold timer-after", "done timer-after", "hold sleep 2", "release sleep 2"]


class Redelivered(Told):
    """A delivery that its broker delivers again, once its connection is lost."""

    is_stale = False

    def hold(self) -> None:
        super().hold()
        if self.message.id == "sleep 2":
            # By then others are sent ahead.
            threading.Timer(0.2, self.on_sleep).start()

    on_sleep: Callable[[], None]


@pytest.mark.parametrize("is_told", [True, False])
def test_events_that_come_again_do_not_begin(is_told: bool) -> None:
    """Whether the source says first that its connection is lost, or the first of them comes."""
    told: list[str] = []
    queue = DeliveryQueue()
    deliveries = [Redelivered(body, told) for body in (*["ok"] * 300, "sleep 2", *["sleep 0.2"] * 20)]

    def lose() -> None:
        for delivery in deliveries:
            delivery.is_stale = True
        if is_told:
            queue.put(Lost())
        queue.put(Told("ok", told))
        queue.close()

    deliveries[300].on_sleep = lose
    for delivery in deliveries:
        # What is not sent ahead yet is claimed later, and not due.
        delivery.claim = lambda one=delivery: not one.is_stale  # type: ignore[method-assign,misc]
        queue.put(delivery)
    serve(queue)
    assert told == [*FINE * 300, "hold sleep 2", "done sleep 2", *FINE]


def load(folder: Path, code: str) -> HandlerProcess:
    (folder / "main.js").write_text(code)
    process = find_runtime("nodejs").load_handler("main:handler", folder)
    assert isinstance(process, HandlerProcess)
    process._write(INITIALISE, [])
    assert next(read(process)).letter == READY
    return process


def read(process: HandlerProcess) -> Iterator[Frame]:
    while (frames := process.read()) is not None:
        yield from frames


def write(process: HandlerProcess, *bodies: str) -> None:
    for number, body in enumerate(bodies, 1):
        process.write(Event(body=body.encode(), _id=body, trigger=TriggerInfo("cron", "x")), number)
    process.flush()


def test_no_event_begins_while_an_outcome_waits_in_the_memory_of_the_process(tmp_path: Path) -> None:
    """It would be lost with the process, and its event blamed for what the next one does."""
    code = """
    exports.handler = (context, event) => {
      require('node:fs').appendFileSync(`${__dirname}/begun`, event.body);
      context.callback('x'.repeat(3000000));
    };
    """
    process = load(tmp_path, code)
    try:
        write(process, "a", "b")
        wait_for(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text())
        time.sleep(0.3)
        assert (tmp_path / "begun").read_text() == "a"
        frames = read(process)
        assert [next(frames).number, next(frames).number] == [1, 2]
    finally:
        process.kill()


@pytest.mark.parametrize(("letter", "read_as"), [(LOG, LOG), (OUTPUT, OUTPUT), (DONE, RAISED), (RAISED, RAISED)])
def test_head_that_python_cannot_read_stops_nothing(tmp_path: Path, letter: bytes, read_as: bytes) -> None:
    process = load(tmp_path, "exports.handler = () => 1;")
    try:
        process._unread += _pack(letter, "[" * 100_000, body=b"x", number=1) + _pack(
            DONE, "[200, null, null]", body=b"y", number=2
        )
        unreadable, fine = process._split()
        assert (unreadable.letter, unreadable.number) == (read_as, 1)
        assert "cannot be read" in str(unreadable.head) + unreadable.body.decode()
        assert fine == Frame(DONE, [200, None, None], b"y", 2)
        assert not process._unread
    finally:
        process.kill()


def test_output_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    process = load(tmp_path, "exports.handler = () => 1;")
    try:
        process._unread += _pack(OUTPUT, "[" * 100_000, body=b"x", number=1)
        (unreadable,) = process._split()
        with pytest.raises(ValueError, match="what the handler says cannot be read: maximum recursion depth"):
            take_note(SimpleNamespace(outputs=SimpleNamespace()), unreadable)
    finally:
        process.kill()


def test_event_whose_output_fails_takes_its_answer_along(tmp_path: Path) -> None:
    """Where events are handled one at a time, the next would have it else."""
    code = "exports.handler = (one, event) => { one.outputs.o.send(event.body); one.callback(event.body); };"
    process = load(tmp_path, code)

    def send(body: bytes, *_: object, **__: object) -> None:
        if body == b"bad":
            raise ValueError("not to be sent")

    context = SimpleNamespace(outputs=SimpleNamespace(o=SimpleNamespace(send=send)))
    context.platform = SimpleNamespace(namespace="x")
    process.init_context(context)
    try:
        with pytest.raises(ValueError, match="not to be sent"):
            process(context, Event(body=b"bad", _id="1", trigger=TriggerInfo("cron", "x")))
        assert process(context, Event(body=b"good", _id="2", trigger=TriggerInfo("cron", "x"))).body == b"good"
    finally:
        process.kill()


def test_what_is_said_while_the_last_outcomes_are_told_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    queue = DeliveryQueue()
    queue.put(Told("after 0.2", []))
    queue.close()
    serve(queue, drain=lambda _flush: wait_for(lambda: "done afterwards" in caplog.text))


def test_threads_that_write_at_once_mix_no_frames() -> None:
    ends = socket.socketpair()
    writer, reader = (HandlerProcess.__new__(HandlerProcess) for _ in ends)
    for process, end in zip((writer, reader), ends, strict=True):
        process._socket, process._lock = end, threading.Lock()
        process._unsent, process._unsent_bytes, process._unread = [], 0, bytearray()

    def write_some() -> None:
        for _ in range(20):
            writer.write_response([1], b"x" * 400_000)

    threads = [threading.Thread(target=write_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    frames: list[Frame] = []
    while len(frames) < 160:
        frames += reader.read() or []
    for thread in threads:
        thread.join()
    for end in ends:
        end.close()
    assert {(frame.letter, len(frame.body)) for frame in frames} == {(REQUEST, 400_000)}


def test_headers_that_json_does_not_have(tmp_path: Path) -> None:
    process = load(tmp_path, "exports.handler = (context, event) => context.callback(event.headers);")
    headers = {b"caf\xe9": 1, "nan": float("nan"), "list": [float("inf"), 2.5], "deep": {"x": b"y"}}
    try:
        process.write(Event(_id="x", body=b"", trigger=TriggerInfo("cron", "x"), headers=headers), 1)
        process.flush()
        seen = json.loads(next(read(process)).body)
        assert seen == {"caf\\xe9": 1, "nan": None, "list": [None, 2.5], "deep": {"x": "y"}}
    finally:
        process.kill()


def test_children_of_the_process_do_not_hide_its_end(tmp_path: Path) -> None:
    code = """
    exports.handler = (context, event) => {
      const { pid } = require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
      require('node:fs').writeFileSync(`${__dirname}/child`, String(pid));
      process.kill(process.pid, 'SIGKILL');
    };
    """
    with ExitStack() as stack:
        for _ in range(20):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        process = load(tmp_path, code)
        try:
            write(process, "x")
            process._socket.settimeout(10)
            assert list(read(process)) == []
            assert process.exit_code == -signal.SIGKILL
        finally:
            process.kill()
            os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_output_of_the_worker_blocks_though_that_of_the_process_does_not(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    kept = os.dup(1)
    os.dup2(writer, 1)
    try:
        process = load(tmp_path, "console.log('here'); exports.handler = () => 1;")
        os.dup2(kept, 1)
        assert os.read(reader, 100) == b"here\n"
        assert os.get_blocking(writer)
        process.kill()
    finally:
        os.dup2(kept, 1)
        for descriptor in (reader, writer, kept):
            os.close(descriptor)


def test_event_is_told_as_nuclio_tells_it(tmp_path: Path) -> None:
    code = "exports.handler = (context, { trigger, fields }) => context.callback({ kind: trigger.kind, fields });"
    process = load(tmp_path, code)
    try:
        for number, kind in enumerate(("rabbit-mq", "cron", "http"), 1):
            process.write(Event(_id=kind, body=b"", trigger=TriggerInfo(kind, "x")), number)
        process.flush()
        frames = read(process)
        assert [json.loads(next(frames).body) for _ in range(3)] == [
            {"kind": "rabbitMq", "fields": None},
            {"kind": "cron", "fields": None},
            {"kind": "http", "fields": {}},
        ]
    finally:
        process.kill()


def test_bodies_have_memory_of_their_own(tmp_path: Path) -> None:
    """Numbers are read from it in place, and it may be given away, as to a thread."""
    code = """
    exports.handler = (context, { body }) => {
      const [first] = new Float64Array(body.buffer, body.byteOffset, 1);
      structuredClone(body.buffer, { transfer: [body.buffer] });
      context.callback(String(first));
    };
    """
    process = load(tmp_path, code)
    try:
        for number in range(1, 6):
            body = struct.pack("=d", number) * 1024
            process.write(Event(_id="x" * number, body=body, trigger=TriggerInfo("cron", "x")), number)
        process.flush()
        frames = read(process)
        assert [next(frames).body for _ in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
    finally:
        process.kill()
