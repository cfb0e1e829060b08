"""A handler in a process of another language: the process, and the frames between it and its worker.

Each dies with the other. A frame is the length of its head, that of its body and the number of the event that it is
about, four bytes each, a letter, the head as JSON, and the body as it is. The process handles one event at a time, in
the order in which they came.
"""

import ctypes
import json
import os
import signal
import socket
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from functools import lru_cache, partial
from threading import Lock
from typing import Any, NamedTuple

import nuclio_sdk
from nuclio_sdk import Event

from stack.processor.configuration import LEVELS
from stack.processor.logger import write_record
from stack.processor.response import Response, encode_body
from stack.processor.runtime.head import describe_event, encode
from stack.processor.runtime.registry import ForeignError, HandlerError

_PREFIX = struct.Struct("!IIIc")
# Bytes of a head, such as that of an answer without headers, up to which what it holds is remembered.
_SHORT = 64
# Bytes that are read at once, and bytes of events after which they are sent though more are about to follow.
_PIECE, _ENOUGH = 1 << 18, 1 << 16
# Linux's option of prctl: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
# The socket in the process. Node.js gives no descriptor as low as this to its children, which would hide its end.
_DESCRIPTOR = 3
# Answers of which nothing is to be checked.
_PLAIN, _COMMON = frozenset(("text/plain", "application/json")), frozenset(range(200, 600))

# What frames are about: to the process, and from it.
HELLO, INITIALISE, EVENT, RECALL, STOP = b"H", b"I", b"E", b"C", b"S"
READY, LOG, OUTPUT, RECALLED, QUIT, DONE, RAISED = b"R", b"L", b"O", b"C", b"Q", b"D", b"X"
# Both ways: a request, and its response.
REQUEST = b"A"
# The form of a body that says why its head could not be read.
_UNREADABLE = "unreadable"
# What else is asked for at once, as the first word of a request's head.
SEND = "send"
# What is no outcome.
NOTES = (LOG, OUTPUT, RECALLED, QUIT, REQUEST)


class Frame(NamedTuple):
    """What the process says."""

    letter: bytes
    head: Any
    body: bytes
    number: int = 0
    """Of the event that this is the outcome of."""


class HandlerProcess:
    """The process, with its handler loaded; itself a handler, which takes one event per round trip.

    Raises:
        HandlerError: the program is not there, or cannot load the handler.
    """

    def __init__(self, command: Sequence[str], hello: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair()
        self._unread = bytearray()
        self._lock = Lock()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._exit_code: int | None = None
        with other:
            self._process = _start([*command, str(_DESCRIPTOR)], other.fileno())
        self._write(HELLO, dict(hello))
        try:
            self._await(lambda _frame: None)
        except ForeignError as error:
            self.kill()
            raise HandlerError(error.shown) from None

    def __call__(self, context: Any, event: Event) -> Any:
        """Have one event handled, and return the response."""
        self.write(event)
        self.flush()
        return self._await(lambda frame: self.take_note(context, frame))

    def init_context(self, context: Any) -> None:
        """Have the author's code prepare itself; its errors are raised."""
        self._write(INITIALISE, {"outputs": sorted(dir(context.outputs)), "namespace": context.platform.namespace})
        self._await(lambda frame: self.take_note(context, frame))

    def take_note(self, context: Any, frame: Frame) -> None:
        """See to what the author's code has logged, sent to an output, or asked for.

        Raises:
            Exception: what was sent cannot be, and so its event fails.
        """
        if frame.letter == REQUEST:
            self.write_response(*make_request(context, frame))
        else:
            take_note(context, frame)

    def write_response(self, head: Any, body: bytes) -> None:
        """Tell what became of a request."""
        self._write(REQUEST, head, body)

    def fileno(self) -> int:
        """Return the descriptor of the socket, on which it says what became of events."""
        return self._socket.fileno()

    @property
    def exit_code(self) -> int:
        """The exit status of the process, which has closed its end; below zero if a signal ended it."""
        return self._process.wait()

    def write(self, event: Event, number: int = 0) -> int:
        """Have an event sent with the next flush, or at once if enough wait for that; return the size of its body.

        Its outcome will have the same number.
        """
        # The data of a CloudEvent may be an object.
        body = event.body if isinstance(event.body, bytes) else encode(event.body).encode()
        size = len(body)
        self._unsent.append(_pack(EVENT, describe_event(event), body=body, number=number))
        self._unsent_bytes += size
        if self._unsent_bytes > _ENOUGH:
            self.flush()
        return size

    def flush(self) -> None:
        """Send the events that wait for it; of a process that is gone, what it says last tells."""
        if self._unsent:
            with self._lock:
                self._send()

    def read(self, *, waits: bool = True) -> list[Frame] | None:
        """Return what the process has said since the last time; None once it has ended."""
        try:
            data = self._socket.recv(_PIECE, 0 if waits else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        self._unread += data
        return list(self._split())

    def recall(self, numbers: Sequence[int]) -> None:
        """Have those of some events dropped that are not begun; a frame RECALLED says which these are."""
        self._write(RECALL, numbers)

    def stop(self) -> None:
        """Tell the process that no event comes any more, so that it ends once nothing is under way in it."""
        self._write(STOP, None)

    def finish(self, note: Callable[[Frame], None]) -> None:
        """Do so, and wait for the end of it; `note` is given what it still says."""
        self.stop()
        while (frames := self.read()) is not None:
            for frame in frames:
                note(frame)

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _split(self) -> Iterator[Frame]:
        unread, start = self._unread, 0
        while len(unread) - start >= _PREFIX.size:
            head_size, body_size, number, letter = _PREFIX.unpack_from(unread, start)
            body_start = start + _PREFIX.size + head_size
            if len(unread) < body_start + body_size:
                break
            head = bytes(unread[start + _PREFIX.size : body_start])
            start = body_start + body_size
            yield _read_frame(letter, head, bytes(unread[body_start:start]), number)
        del unread[:start]

    def _write(self, letter: bytes, head: Any, body: bytes = b"") -> None:
        """Send a frame, behind the events that wait; from any thread once no events are written any more."""
        frame = _pack(letter, encode(head), body=body)
        with self._lock:
            self._unsent.append(frame)
            self._send()

    def _send(self) -> None:
        data, self._unsent, self._unsent_bytes = b"".join(self._unsent), [], 0
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def _await(self, note: Callable[[Frame], None]) -> Any:
        """Return what is answered; errors are raised, those of notes with the outcome, which is read in any case."""
        outcome, failure = None, None
        while outcome is None and (frames := self.read()) is not None:
            for frame in frames:
                if frame.letter not in NOTES:
                    outcome = frame
                    continue
                try:
                    note(frame)
                except Exception as error:
                    failure = failure or error
        if outcome is None:
            raise HandlerError(f"the process of the handler {describe_end(self.exit_code)}")
        result = read_response(outcome)
        if failure:
            raise failure
        return result


def read_response(frame: Frame) -> Any:
    """Return what a handler gave.

    Raises:
        ForeignError: it failed.
    """
    if frame.letter == DONE:
        status, content_type, headers = frame.head
        if headers is None and content_type in _PLAIN and status in _COMMON:
            return Response(status, content_type, frame.body, {})
        return nuclio_sdk.Response(headers, frame.body, content_type, status)
    if frame.letter == RAISED:
        raise ForeignError(*frame.head)
    return None


def take_note(context: Any, frame: Frame) -> None:
    """See to what the author's code has logged, or sent to an output.

    Raises:
        Exception: what was sent cannot be, and so its event fails.
    """
    if frame.letter == LOG:
        write_log(context, frame)
    if frame.letter == OUTPUT:
        _send(context, frame.head, frame.body)


def _send(context: Any, head: Sequence[Any], content: bytes, *, now: bool = False) -> None:
    without_event, name, form, key, headers, correlation_id, values = head
    body = _read_body(form, content)
    output = getattr(context.outputs, name)
    send = partial(output.send, body, key, headers, correlation_id=correlation_id, now=now, **values)
    # In a context without an event it leaves at once.
    Context().run(send) if without_event else send()


def make_request(context: Any, frame: Frame) -> tuple[list[Any], bytes]:
    """Make a request of the author's code and wait; return the head and the body of the frame that says what came."""
    number, what, *rest = frame.head
    try:
        if what == SEND:
            _send(context, rest, frame.body, now=True)
            return describe_sent(number)
        form, topic, timeout, response_topic = rest
        response = context.request(topic, _read_body(form, frame.body), timeout, response_topic=response_topic)
    except Exception as error:
        return describe_sent(number, type(error).__name__, str(error))
    content = response.body if isinstance(response.body, bytes) else encode_body(response.body)[0]
    return [number, "", None, response.content_type, dict(response.headers), response.status_code], content


def describe_sent(number: int, name: str = "", error: str | None = None) -> tuple[list[Any], bytes]:
    """Return the same of what has no response, with the error that it came to, if any."""
    return [number, name, error, "", {}, 0], b""


def is_late(frame: Frame) -> bool:
    """Return whether a frame is what the author's code has sent outside of an event."""
    return frame.letter == OUTPUT and bool(frame.head[0])


def is_sent_now(frame: Frame) -> bool:
    """Return whether a frame is what the author's code sends at once, and waits for."""
    return frame.letter == REQUEST and frame.head[1] == SEND


def start_sending(
    context: Any, head: Sequence[Any], *, content: bytes, tell: Callable[[str], object]
) -> "Future[None]":
    """Send at once and do not wait; another thread tells why it could not be sent.

    Raises:
        Exception: there is no such output, or its message is none.
    """
    without_event, name, form, key, headers, correlation_id, values = head
    body = _read_body(form, content)
    start = partial(getattr(context.outputs, name).start, body, key, headers)
    send = partial(start, correlation_id=correlation_id, values=values, tell=tell)
    result: Future[None] = Context().run(send) if without_event else send()
    return result


def _read_body(form: str, body: bytes) -> Any:
    if form == _UNREADABLE:
        raise ValueError(body.decode())
    return body if form == "bytes" else body.decode() if form == "text" else json.loads(body)


def write_log(context: Any, frame: Frame) -> None:
    """Write a line that the author's code has logged."""
    level, message, fields = frame.head
    shown = fields if isinstance(fields, dict) else {"value": fields}
    write_record(LEVELS[level], message, {**shown, "worker_id": context.worker_id})


def describe_end(code: int) -> str:
    """Return how a process ended."""
    return f"ended by a signal: {signal.strsignal(-code)}" if code < 0 else f"ended with exit status {code}"


def _start(command: Sequence[str], descriptor: int) -> "subprocess.Popen[bytes]":
    outputs = [_open_again(number) for number in (1, 2)]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=outputs[0],
            stderr=outputs[1],
            pass_fds=(_DESCRIPTOR,),
            # Ctrl-C reaches every process of a terminal's group; stopping is the supervisor's to order.
            process_group=0,
            preexec_fn=partial(_prepare, descriptor),
        )
    except OSError as error:
        raise HandlerError(f"{command[0]} cannot be started, and has to be installed: {error.strerror}") from None
    finally:
        for output in outputs:
            if output is not None:
                os.close(output)


def _open_again(descriptor: int) -> int | None:
    """Return another descriptor of a pipe or a terminal, to be written to; None where there can be none.

    Node.js has its outputs not block, and what does that to a descriptor does it to all that were made from it.
    """
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # A pipe that is read by no one would block.
        output = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    os.set_blocking(output, True)
    return output


def _prepare(descriptor: int) -> None:
    os.dup2(descriptor, _DESCRIPTOR)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_frame(letter: bytes, head: bytes, body: bytes, number: int) -> Frame:
    """Return a frame; where Python's JSON cannot read the head, one that says so in its place."""
    try:
        return Frame(letter, _parse_again(head) if len(head) < _SHORT else json.loads(head), body, number)
    except (ValueError, RecursionError) as error:
        reason, name = f"what the handler says cannot be read: {error}", type(error).__name__
    if letter == LOG:
        return Frame(LOG, ["error", "A line of the log is lost", {"reason": reason}], b"", number)
    if letter == OUTPUT:
        return Frame(OUTPUT, [False, "", _UNREADABLE, None, None, None, {}], reason.encode(), number)
    return Frame(RAISED, [name, reason, ""], b"", number)


def _pack(letter: bytes, head: str, *, body: bytes, number: int = 0) -> bytes:
    data = head.encode()
    return b"".join((_PREFIX.pack(len(data), len(body), number, letter), data, body))


_parse_again = lru_cache(maxsize=64)(json.loads)
