"""Events on their way through the handler: called, judged, and their deliveries told what became of them.

A caller is told what the handler logs and why it fails as the trigger says, or if it proves to be Tidegate's own.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from pathlib import Path
from types import CoroutineType
from typing import Any

import nuclio_sdk

from stack.contract import CALLER_HEADER, LOG_LEVEL, PYTHON, RESPONSE_TOPIC
from stack.processor.batch import match_responses
from stack.processor.caller import EVERYONE, Caller, CallerRights
from stack.processor.delivery import Delivery, Failure
from stack.processor.event import Builder
from stack.processor.failure import describe_answer, log_failure, respond_with
from stack.processor.logger import LogCapture
from stack.processor.message import PooledMessage, unwrap
from stack.processor.output.commit import CommitQueue, Ended
from stack.processor.output.outbox import Outbox, OutputSet
from stack.processor.request import Reply, find_reply
from stack.processor.response import Response, Stream, refuse, respond, respond_to_http
from stack.processor.runtime.registry import Handler, Runtime, find_runtime
from stack.processor.stream import StreamedDelivery, collect, collect_async, send, send_async
from stack.processor.trigger.registry import find_kind
from stack.processor.worker_spec import WorkerSpec

_HIDDEN = "The handler failed; the reason is in the function's log."
_UNSENT = "What the handler sent could not be delivered"
# The status of an answer to an event whose messages could not be sent; a client may come again.
_UNAVAILABLE = 503


class Invoker:
    """Calls the handler of one worker; `complete` returns what an awaitable comes to."""

    def __init__(
        self,
        handler: Handler,
        context: Any,
        *,
        build: Builder,
        spec: WorkerSpec,
        complete: Callable[[Any], Any],
        rights: CallerRights = EVERYONE,
        runtime: Runtime | None = None,
    ):
        self._handler = handler
        self._context = context
        self._build = build
        self._complete = complete
        self._runtime = runtime or find_runtime(PYTHON)
        self._timer = spec.timer
        self._stats = spec.stats
        self._logger_name = spec.logger_name
        self._trigger = spec.trigger.name
        self._outputs: OutputSet | None = None
        self._commits: CommitQueue | None = None
        # Of the event, or the batch, that is being handled.
        self._outbox: Outbox | None = None
        folder = spec.trigger.attributes.text("filestreamFolder")
        # Elsewhere no one is told the head of a response. Where triggers share workers, one of them may be of HTTP.
        judge = respond_to_http if spec.pool or find_kind(spec.trigger).has_port else respond
        self._respond = partial(judge, folder=Path(folder)) if folder else judge
        self._rights = rights
        self._is_own = False
        self._capture: LogCapture | None = None
        self._reply: Reply | None = None
        encodes = self._runtime.open_form().encodes
        self._asked: str | bytes = LOG_LEVEL.encode() if encodes else LOG_LEVEL
        self._proof: str | bytes = CALLER_HEADER.encode() if encodes else CALLER_HEADER
        self._asking = (self._asked, self._proof, RESPONSE_TOPIC)

    def attach(self, outputs: OutputSet, put: Callable[[Delivery], None] | None = None) -> None:
        """Name where the handler sends things; `put` hands deliveries to this thread, which so hears what arrived."""
        if outputs.targets:
            self._outputs = outputs
            self._commits = CommitQueue(outputs.sender, self._tell_late, put) if put else None

    def flush(self) -> None:
        """Send what the handler has sent since the last time."""
        if self._commits:
            self._commits.flush()

    def drain(self, pass_on: Callable[[], object]) -> None:
        """Wait until all that was sent has arrived, or has not, and tell of it; `pass_on` is the source's flush."""
        if self._commits:
            self._commits.drain(pass_on)

    def handle(self, delivery: Delivery) -> None:
        """Handle one event; the handler's errors end here."""
        self.begin(delivery)
        try:
            event, caller = self.read(delivery)
            if caller:
                self._admit(caller)
            self.open_outbox([(delivery, event)])
            result = self._handler(self._context, event)
            if isinstance(result, CoroutineType):
                # A decorator may hide that the handler is async.
                result = self._complete(result)
        except BaseException as error:
            self.fail(delivery, error)
        else:
            self.answer(delivery, result)

    def read(self, delivery: Delivery) -> tuple[nuclio_sdk.Event, Caller | None]:
        """Return the event of a delivery, and who calls where that counts; the handler is not told it."""
        event = self._build(delivery.message)
        headers = event.headers
        if not headers or not any(name in headers for name in self._asking):
            return event, None
        is_own = self._rights.is_own(headers, self._proof)
        headers.pop(self._proof, None)
        return event, Caller(is_own, headers.get(self._asked), find_reply(delivery.message))

    def begin(self, delivery: Delivery, caller: Caller | None = None) -> None:
        """Note that an event begins: its time runs, and it counts as being handled."""
        delivery.hold()
        self._timer.start()
        self._stats.begin()
        if caller:
            self._admit(caller)

    def release(self, delivery: Delivery) -> None:
        """Note that an event has not begun after all, and is not what ends the worker."""
        self._discard()
        self._reply = None
        self._timer.stop()
        self._stats.release()
        if release := getattr(delivery, "release", None):
            release()

    def answer(self, delivery: Delivery, result: Any) -> None:
        """Judge what a handler returned, and tell the delivery."""
        try:
            response = self._respond(result)
            if isinstance(response, Stream):
                if isinstance(delivery, StreamedDelivery):
                    error = send(delivery, response, self._complete)
                    sent = self._close_stream(error)
                    self._wait_for(sent)
                    self._end_stream(delivery, error, sent)
                    return
                response = collect(response, self._complete)
        except BaseException as error:
            self.fail(delivery, error)
        else:
            self.settle(delivery, response)

    def fail(self, delivery: Delivery, error: BaseException) -> None:
        """Tell a delivery that its event has failed; nothing of what the handler sent leaves."""
        self._discard()
        self._give_up(delivery, *self._explain(error))

    async def handle_async(self, delivery: Delivery) -> None:
        """Do as `handle`, with an async handler."""
        self.begin(delivery)
        try:
            event, caller = self.read(delivery)
            if caller:
                self._admit(caller)
            self.open_outbox([(delivery, event)])
            response = self._respond(await _call(self._handler, self._context, event))
            if isinstance(response, Stream):
                if isinstance(delivery, StreamedDelivery):
                    error = await send_async(delivery, response)
                    sent = self._close_stream(error)
                    await self._wait_for_async(sent)
                    self._end_stream(delivery, error, sent)
                    return
                response = await collect_async(response)
        except BaseException as error:
            self.fail(delivery, error)
        else:
            await self._settle_async(delivery, response)

    def handle_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Handle several events at once; an error is that of all of them."""
        pairs = self._build_batch(deliveries)
        if not pairs:
            return
        events = [event for _, event in pairs]
        try:
            self.open_outbox(pairs)
            result = self._handler(self._context, events)
            if isinstance(result, CoroutineType):
                result = self._complete(result)
            responses = match_responses(events, result, self._respond)
            sent = self._close_outbox(responses)
        except BaseException as error:
            self._fail_batch(pairs, error)
        else:
            for (delivery, _), response in zip(pairs, responses, strict=True):
                self.settle(delivery, response, sent)

    async def handle_batch_async(self, deliveries: Sequence[Delivery]) -> None:
        """Do as `handle_batch`, with an async handler."""
        pairs = self._build_batch(deliveries)
        if not pairs:
            return
        events = [event for _, event in pairs]
        try:
            self.open_outbox(pairs)
            responses = match_responses(events, await self._handler(self._context, events), self._respond)
            sent = self._close_outbox(responses)
        except BaseException as error:
            self._fail_batch(pairs, error)
        else:
            for (delivery, _), response in zip(pairs, responses, strict=True):
                await self._settle_async(delivery, response, sent)

    def _build_batch(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, Any]]:
        """Return the events of a batch; what no event can be made of fails alone."""
        pairs: list[tuple[Delivery, Any]] = []
        for delivery in deliveries:
            self.begin(delivery)
            try:
                pairs.append((delivery, self._build(delivery.message)))
            except Exception as error:
                self.fail(delivery, error)
        if pairs:
            # One that failed has stopped it.
            self._timer.start()
        return pairs

    def _admit(self, caller: Caller) -> None:
        """Note who calls, and capture the log for a caller that asks for it and may have it."""
        self._is_own, self._reply = caller.is_own, caller.reply
        level = caller.level
        if level is not None and self._may_have(self._rights.logs):
            text = level.decode(errors="replace") if isinstance(level, bytes) else str(level)
            self._capture = LogCapture(text, self._logger_name)

    def _may_have(self, everyone: bool | None) -> bool:
        return self._is_own if everyone is None else everyone

    def _end(self, *, failed: bool) -> None:
        """Note that the event has ended; before its delivery is told, so that a client finds its event counted."""
        self._timer.stop()
        self._stats.end(failed=failed)
        self._is_own = False

    def open_outbox(self, pairs: Sequence[tuple[Delivery, Any]]) -> None:
        """Keep what the handler sends from now on; of which event of a batch a message is, no one knows."""
        if self._outputs:
            messages = [(unwrap(delivery.message), event) for delivery, event in pairs]
            first = pairs[0][0].message
            number = first.trigger if isinstance(first, PooledMessage) else ""
            self._outbox = self._outputs.open(f"{self._trigger}\0{number}", messages)

    def _close_outbox(self, responses: Sequence[Response]) -> Outbox | None:
        """Return what is to be sent of an event that is handled, or of a batch; nothing if there is no such thing."""
        sent = self._outputs.close(self._outbox, responses) if self._outputs and self._outbox else None
        self._outbox = None
        return sent

    def _discard(self) -> None:
        """Send nothing of an event that has failed."""
        if self._outbox:
            self._outbox.discard()
            self._outbox = None

    def settle(self, delivery: Delivery, response: Response, sent: Outbox | None = None) -> None:
        """Send what the handler sent, then tell the delivery; one that can wait is told when all has arrived."""
        if self._outputs is None and self._capture is None and self._reply is None and not response.is_failure:
            # The way of most events.
            self._end(failed=False)
            delivery.done(response)
            return
        ended = self._conclude(delivery, response, failure=None, sent=sent)
        if not self._hold(ended):
            self._wait_for(ended.outbox)
            self._tell(ended)

    async def _settle_async(self, delivery: Delivery, response: Response, sent: Outbox | None = None) -> None:
        """Do as `settle`, and let the user's tasks go on meanwhile."""
        ended = self._conclude(delivery, response, failure=None, sent=sent)
        if not self._hold(ended):
            await self._wait_for_async(ended.outbox)
            self._tell(ended)

    def _wait_for(self, outbox: Outbox | None) -> None:
        """Send what is in an outbox, and wait until it has arrived, or has not."""
        if self._outputs and outbox and not outbox.is_settled:
            self._outputs.sender.send(outbox).result()

    async def _wait_for_async(self, outbox: Outbox | None) -> None:
        """Do as `_wait_for`, and let the user's tasks go on meanwhile."""
        if self._outputs and outbox and not outbox.is_settled:
            future = asyncio.wrap_future(self._outputs.sender.send(outbox))
            while not future.done():
                # A handler may have cancelled the task that it runs in, which is that of all events.
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(future)

    def _conclude(
        self, delivery: Delivery, response: Response, *, failure: Failure | None, sent: Outbox | None = None
    ) -> Ended:
        """Note that the handler is done with an event; return what became of it. `sent` is what a batch sent."""
        if failure is None and response.is_failure:
            failure = describe_answer(response)
        if failure:
            self._discard()
        try:
            sent = sent or self._close_outbox([response])
        except Exception as error:
            self._discard()
            response, failure = self._explain(error)
        if self._capture:
            capture, self._capture = self._capture, None
            response = capture.finish(response)
        reply, self._reply = self._reply, None
        if sent:
            # The time that the broker takes is not the handler's.
            self._timer.stop()
        return Ended(delivery, response, failure, sent, reply)

    def _hold(self, ended: Ended) -> bool:
        """Return whether a delivery is told later, when its messages, and those of events before it, have arrived."""
        if not self._commits or not self._commits.hold(ended):
            return False
        self._end(failed=ended.failure is not None)
        return True

    def _tell(self, ended: Ended) -> None:
        ended = self._look_at_messages(ended)
        self._end(failed=ended.failure is not None)
        self._pass_on(ended)

    def _tell_late(self, ended: Ended) -> None:
        """Tell a delivery whose event was counted when the handler was done with it."""
        if ended.outbox and ended.outbox.error:
            self._stats.fail_late()
        self._pass_on(self._look_at_messages(ended))

    def _pass_on(self, ended: Ended) -> None:
        """Respond to a request, which is no failure of the event where it cannot be done, and tell the delivery."""
        if ended.reply and not ended.failure:
            try:
                self._context.request.open().respond(ended.reply, ended.response)
            except Exception as error:
                self._context.logger.warn_with("A request could not be responded to", reason=str(error))
        ended.tell()

    def _look_at_messages(self, ended: Ended) -> Ended:
        """Return what became of an event: it has failed if its messages could not be sent."""
        if not ended.outbox or not ended.outbox.error:
            return ended
        error = ended.outbox.error
        with suppress(Exception):
            self._context.logger.error_with(_UNSENT, reason=error)
        text = f"{_UNSENT}: {error}" if self._may_have(self._rights.traces) else f"{_UNSENT}."
        return ended._replace(response=refuse(_UNAVAILABLE, text), failure=Failure(f"{_UNSENT}: {error}", ""))

    def _fail_batch(self, pairs: Sequence[tuple[Delivery, Any]], error: BaseException) -> None:
        self._discard()
        response, failure = self._explain(error)
        for delivery, _ in pairs:
            self._give_up(delivery, response, failure)

    def _give_up(self, delivery: Delivery, response: Response, failure: Failure | None) -> None:
        ended = self._conclude(delivery, response, failure=failure)
        if not self._hold(ended):
            self._tell(ended)

    def _close_stream(self, error: BaseException | None) -> Outbox | None:
        """Return what is to be sent when a stream has ended; its pieces are no answer that an output could have."""
        if error:
            self._discard()
        return self._close_outbox([])

    def _end_stream(self, delivery: StreamedDelivery, error: BaseException | None, sent: Outbox | None) -> None:
        failure = self._explain(error)[1] if error else None
        if sent and sent.error:
            failure = Failure(f"{_UNSENT}: {sent.error}", "")
        if self._capture:
            self._capture.close()
            self._capture = None
        self._end(failed=failure is not None)
        delivery.end(failure)

    def _explain(self, error: BaseException) -> tuple[Response, Failure | None]:
        """Log an error; return what the client gets and what is said of the message."""
        if isinstance(error, nuclio_sdk.ExceptionWithResponse):
            return respond_with(error, self._respond, self._context.logger), None
        told, failure = log_failure(error, self._runtime, handler=self._handler, logger=self._context.logger)
        return refuse(500, told if self._may_have(self._rights.traces) else _HIDDEN), failure


async def _call(handler: Handler, context: Any, event: Any) -> Any:
    """Return what an async handler comes to; an async generator is a result of its own."""
    result = handler(context, event)
    return await result if isinstance(result, CoroutineType) or isawaitable(result) else result
