"""What a handler sends while it handles an event: kept here, and sent once it has returned without an error.

Each event has an outbox. It is found by a context variable, so that what a task or a thread of the handler's sends goes
with the event that began it; what is sent when that event is over, or outside of any, is sent at once.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, Protocol

from stack.contract import FUNCTION
from stack.processor.configuration import Function
from stack.processor.event import new_id
from stack.processor.message import MqttMessage
from stack.processor.output.message import TRACE_HEADER, OutputError, OutputMessage, continue_trace
from stack.processor.output.target import Target
from stack.processor.response import Response, encode_body

_ID_BYTES = 16
_CORRELATION_HEADER = "X-Correlation-Id"


class Cause:
    """The event, or the events of a batch, of which messages come: what their ids and headers are made of."""

    def __init__(self, scope: str, pairs: Sequence[tuple[Any, Any]] = ()) -> None:
        self._scope = scope
        self._pairs = pairs
        self._hash: Any = None
        self._numbers: dict[tuple[str, str, bytes], int] = {}
        self._headers: dict[str, str] = {}
        self.correlation_id = ""

    def next_id(self, output: str, address: str, content: bytes) -> str:
        """Return the id of the next message: the same when the same event is handled again and sends the same.

        The handler may go another way then, and send others before it, or others in its place.
        """
        sent = (output, address, content)
        number = self._numbers[sent] = self._numbers.get(sent, 0) + 1
        if not self._hash:
            self._hash = self._hash_event()
        made = self._hash.copy()
        _update(made, output.encode(), address.encode(errors="replace"), content, b"%d" % number)
        return str(made.hexdigest())

    def describe(self, function: str) -> dict[str, str]:
        """Return the headers that every message of the event has."""
        if not self._headers:
            headers = (self._pairs[0][1].headers if self._pairs else None) or {}
            self._headers = {TRACE_HEADER: continue_trace(_find(headers, TRACE_HEADER)), FUNCTION: function}
            self.correlation_id = self._find_correlation(headers)
        return self._headers

    def _hash_event(self) -> Any:
        """Return what tells this event from all others, by its id and, as ids are others' to choose, by its body.

        A packet id of MQTT comes again for another message; such an event is not known when it comes again.
        """
        made = blake2b(digest_size=_ID_BYTES)
        if not self._pairs or isinstance(self._pairs[0][0], MqttMessage):
            _update(made, new_id().encode())
            return made
        _update(made, self._scope.encode())
        for message, event in self._pairs:
            _update(made, _to_text(event.id).encode(errors="replace"), encode_body(message.body)[0])
        return made

    def _find_correlation(self, headers: Mapping[Any, Any]) -> str:
        if not self._pairs:
            return new_id()
        message, event = self._pairs[0]
        given = getattr(getattr(message, "properties", None), "correlation_id", None)
        return _to_text(given or _find(headers, _CORRELATION_HEADER) or event.id)


class Outbox:
    """The messages of one event, and whether they are sent."""

    is_open = True
    left = 0
    error = ""
    """Why they could not be sent."""
    is_settled = False
    on_settled: Callable[[], object] | None = None

    def __init__(self, outputs: "OutputSet", cause: Cause) -> None:
        self._outputs = outputs
        self.cause = cause
        self.messages: list[OutputMessage] = []

    def add(
        self,
        name: str,
        body: Any,
        key: str | None = None,
        headers: Mapping[str, object] | None = None,
        *,
        correlation_id: str | None = None,
        values: Mapping[str, object] | None = None,
        content_type: str = "",
    ) -> None:
        """Keep a message to an output.

        Raises:
            AttributeError: there is no such output.
            TypeError: the body is nothing that JSON has, or the output's placeholders are others.
            ValueError: a placeholder's value cannot stand there.
        """
        outputs = self._outputs
        target = outputs.find(name)
        address = target.address.fill(key, values or {})
        content, known_type = encode_body(body)
        common = self.cause.describe(outputs.function)
        given = {str(header): _to_text(value) for header, value in headers.items()} if headers else {}
        correlation = self.cause.correlation_id if correlation_id is None else str(correlation_id)
        message_id = self.cause.next_id(name, address, content)
        message = OutputMessage(
            name, content, content_type or known_type, address, common | given, message_id, correlation
        )
        self.messages.append(message)

    def add_answer(self, name: str, response: Response) -> None:
        """Keep the handler's answer as a message to an output, unless there is nothing in it."""
        if response.body:
            self.add(name, response.body, content_type=response.content_type)

    def discard(self) -> None:
        """Take nothing more in, and send nothing: the event has failed."""
        self.messages = []
        self.is_open = False

    def close(self) -> "Outbox | None":
        """Take nothing more in; return the outbox if there is something to send."""
        self.is_open = False
        self.left = len(self.messages)
        return self if self.messages else None

    def note_sent(self) -> None:
        """Note that one more message has arrived."""
        self.left -= 1
        if not self.left:
            self._settle()

    def note_failure(self, error: str) -> None:
        """Note that a message cannot be sent, and so that the event has failed."""
        if not self.is_settled:
            self.error = error
            self._settle()

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            if self.on_settled:
                self.on_settled()


_current: ContextVar[Outbox | None] = ContextVar("outbox", default=None)


def current_outbox() -> Outbox | None:
    """Return the outbox of the event that is being handled here; None if there is none, or it is over."""
    outbox = _current.get()
    return outbox if outbox and outbox.is_open else None


class Output:
    """One output, as a handler sees it."""

    def __init__(self, outputs: "OutputSet", name: str) -> None:
        self._outputs = outputs
        self._name = name

    def send(
        self,
        body: Any,
        key: str | None = None,
        headers: Mapping[str, object] | None = None,
        *,
        correlation_id: str | None = None,
        now: bool = False,
        **placeholders: object,
    ) -> None:
        """Send a message once the handler has returned without an error; outside of an event at once.

        The body is bytes, a text, or anything that JSON has. `key` is a routing key in the place of the output's. With
        `now` it is sent at once, and has arrived when this returns, whatever becomes of the event.

        Raises:
            TypeError: the body is nothing that JSON has, or the output's placeholders are others.
            OutputError: it was to be sent at once, and could not.
        """
        self._outputs.check_process()
        outbox = current_outbox()
        target = outbox if outbox and not now else Outbox(self._outputs, outbox.cause if outbox else Cause(""))
        target.add(self._name, body, key, headers, correlation_id=correlation_id, values=placeholders)
        if target is not outbox:
            self._outputs.send_now(target)

    def start(
        self,
        body: Any,
        key: str | None = None,
        headers: Mapping[str, object] | None = None,
        *,
        correlation_id: str | None = None,
        values: Mapping[str, object],
        tell: Callable[[str], object],
    ) -> "Future[None]":
        """Send a message at once, and do not wait; the sender's thread tells why it could not be sent.

        Raises:
            TypeError: the body is nothing that JSON has, or the output's placeholders are others.
        """
        current = current_outbox()
        outbox = Outbox(self._outputs, current.cause if current else Cause(""))
        outbox.add(self._name, body, key, headers, correlation_id=correlation_id, values=values)
        outbox.close()
        future = self._outputs.sender.send(outbox)
        future.add_done_callback(lambda _: outbox.error and tell(outbox.error))
        return future


class Sends(Protocol):
    """What sends outboxes."""

    def start(self) -> None:
        """Connect."""

    def commit(self, outboxes: Sequence[Outbox]) -> None:
        """Send what is in some, and return at once; each is told when all of it has arrived, or that it has not."""

    def send(self, outbox: Outbox) -> "Future[None]":
        """Send what is in one; the future is done when it is settled."""

    def close(self, timeout: float) -> None:
        """Disconnect, in at most that many seconds."""


class OutputSet:
    """A function's outputs, and the outboxes of its events."""

    def __init__(self, function: Function, targets: Mapping[str, Target], sender: Sends) -> None:
        self.function = function.name
        self.targets = targets
        self.sender = sender
        self._process = os.getpid()
        self._on_success = function.on_success
        self._scope = f"{function.namespace}\0{function.name}"

    def check_process(self) -> None:
        """Make sure that this is the worker's own process: a fork of it has no thread that sends.

        Raises:
            OutputError: it is another.
        """
        if os.getpid() != self._process:
            raise OutputError("a process that the handler forked cannot send; have it return what is to be sent")

    def send_now(self, outbox: Outbox) -> None:
        """Send what is in an outbox of no event, and wait.

        Raises:
            OutputError: it could not be sent.
        """
        if outbox.close():
            self.sender.send(outbox).result()
        if outbox.error:
            raise OutputError(outbox.error)

    def find(self, name: str) -> Target:
        """Return where an output leads to.

        Raises:
            AttributeError: there is no such output.
        """
        try:
            return self.targets[name]
        except KeyError:
            raise AttributeError(self._describe_unknown(name)) from None

    def open(self, trigger: str, pairs: Sequence[tuple[Any, Any]]) -> Outbox:
        """Return the outbox of an event and its message, or of a batch of them, which `send` fills from now on."""
        outbox = Outbox(self, Cause(f"{self._scope}\0{trigger}", pairs))
        _current.set(outbox)
        return outbox

    def close(self, outbox: Outbox, responses: Iterable[Response]) -> Outbox | None:
        """Return the outbox of an event that is handled if there is something to send, the answers perhaps."""
        if self._on_success and outbox.is_open:
            for response in responses:
                if not response.is_failure:
                    outbox.add_answer(self._on_success, response)
        return outbox.close()

    def _describe_unknown(self, name: str) -> str:
        near = get_close_matches(name, self.targets, n=1)
        known = f"it has {', '.join(self.targets)}" if self.targets else "it has none"
        return f"function.yaml has no output {name!r} in spec.outputs; " + (
            f"did you mean {near[0]!r}?" if near else known
        )


class Outputs:
    """`context.outputs`: each output is an attribute."""

    def __init__(self, outputs: OutputSet) -> None:
        self.__outputs = outputs
        self.__dict__.update((name, Output(outputs, name)) for name in outputs.targets)

    def __getattr__(self, name: str) -> Output:
        """Return an output of a test without function.yaml, where each name is one; else tell that there is none."""
        if name.startswith("_"):
            raise AttributeError(name)
        self.__outputs.find(name)
        return Output(self.__outputs, name)

    def __dir__(self) -> Iterator[str]:
        """Return the names of the outputs."""
        return iter(self.__outputs.targets)


def _update(made: Any, *parts: bytes) -> None:
    # Lengths keep the end of one part from passing for the beginning of the next.
    made.update(b"".join([b"%d:%b" % (len(part), part) for part in parts]))


def _to_text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _find(headers: Mapping[Any, Any], name: str) -> Any:
    """Return a header, which HTTP spells in capitals, and whose name may be bytes."""
    if not headers:
        return None
    for spelling in (name, name.title()):
        if (value := headers.get(spelling, headers.get(spelling.encode()))) is not None:
            return value
    return None
