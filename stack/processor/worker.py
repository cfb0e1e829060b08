"""A worker: the handler on the main thread, fed by a source whose I/O another thread sees to while the handler is busy.

The main thread is the handler's, since signals and some libraries want it; so a handler that takes an hour misses no
heartbeat of its broker.
"""

import asyncio
import inspect
from time import monotonic
from typing import Any

from nuclio_sdk import Context, Logger, Platform, TriggerInfo

from stack.processor.audience import Audience, read_audience
from stack.processor.batch import gather, gather_async
from stack.processor.configuration import Batch, Function
from stack.processor.delivery import Delivery, Source
from stack.processor.event import Builder, open_builder, open_pool_builder
from stack.processor.failure import describe_error
from stack.processor.handler import (
    Handler,
    HandlerError,
    find_init_context,
    format_user_traceback,
    is_async,
    load_handler,
)
from stack.processor.inbox import AsyncInbox, Inbox
from stack.processor.invocation import Invoker
from stack.processor.logger import open_logger
from stack.processor.loop import LoopInbox
from stack.processor.post import Post
from stack.processor.report import SourceReport
from stack.processor.source.catalogue import find_patience, open_inbox, open_source
from stack.processor.status import State, StatusWriter
from stack.processor.stop import Stop

# Seconds that a source may take to send the last outcomes.
_CLOSE_AFTER = 5.0


class Worker:
    """Runs the events of one post through the handler, one at a time."""

    def __init__(self, post: Post, function: Function, status: StatusWriter) -> None:
        self._post = post
        self._function = function
        self._status = status
        self._meter = post.meter
        self._report = SourceReport(status.tell, post.meter)
        self._logger: Logger = open_logger(post.logger_name, function.sink)
        self._logger.bind(worker_id=str(post.index))
        self._context = open_context(post, function, self._logger)
        # The loop of async functions; it is made when the first is run.
        self._runner = asyncio.Runner()

    def run(self, stop: Stop) -> int:
        """Load the handler, and serve until told to stop; return the exit status."""
        try:
            handler = load_handler(self._function.handler, self._function.folder)
        except HandlerError as error:
            self._status.tell(State.BROKEN, str(error))
            return 1
        try:
            if not self._prepare(handler):
                return 1
            build = _open_builder(self._post)
            self._invoker = Invoker(
                handler,
                self._context,
                build=build,
                post=self._post,
                complete=self._complete,
                audience=self._read_audience(),
            )
            if is_async(handler):
                self._runner.run(self._serve_async(stop))
            else:
                self._serve(stop)
            self._end()
        finally:
            self._runner.close()
        return 0

    def _read_audience(self) -> Audience:
        attributes, function = self._post.trigger.attributes, self._function
        return read_audience(attributes, function.signature_key, is_local=function.reloads)

    def _prepare(self, handler: Handler) -> bool:
        """Call the user's init_context; tell whether it went well."""
        prepare = find_init_context(handler)
        try:
            if prepare:
                self._complete(prepare(self._context))
        except BaseException as error:
            self._logger.error_with("init_context failed", traceback=format_user_traceback(error))
            self._status.tell(State.FAILED, f"init_context failed: {describe_error(error)}")
            return False
        return True

    def _end(self) -> None:
        """Call the user's callbacks: no event comes any more, and the process ends."""
        for which in ("drain", "termination"):
            try:
                self._complete(self._context.platform._on_signal(which))
            except BaseException as error:
                self._logger.error_with(f"the {which} callback failed", traceback=format_user_traceback(error))

    def _complete(self, result: Any) -> Any:
        """Return what a user's function returned, or what that, being awaitable, comes to."""
        return self._runner.run(_wait_for(result)) if inspect.isawaitable(result) else result

    def _serve(self, stop: Stop) -> None:
        if self._post.trigger.batch:
            self._serve_batches(self._post.trigger.batch, stop)
            return
        inbox = open_inbox(self._post)
        source = self._open(inbox, stop)
        handle = self._invoker.handle
        patience, flushed = find_patience(self._post), 0.0
        while (delivery := inbox.get()) is not None:
            if delivery.claim():
                self._meter.begin()
                handle(delivery)
            if inbox.is_empty() or monotonic() - flushed > patience:
                source.flush()
                flushed = monotonic()
        source.close(_CLOSE_AFTER)

    def _serve_batches(self, batch: Batch, stop: Stop) -> None:
        inbox = Inbox()
        source = self._open(inbox, stop)
        patience, flushed = find_patience(self._post), 0.0
        while (delivery := inbox.get()) is not None:
            self._invoker.handle_batch(gather(delivery, inbox.take, batch))
            if inbox.is_empty() or monotonic() - flushed > patience:
                source.flush()
                flushed = monotonic()
        source.close(_CLOSE_AFTER)

    async def _serve_async(self, stop: Stop) -> None:
        inbox = AsyncInbox(asyncio.get_running_loop())
        source = self._open(inbox, stop)
        handle, batch = self._invoker.handle_async, self._post.trigger.batch
        patience, flushed = find_patience(self._post), 0.0
        while (delivery := await _take(inbox)) is not None:
            if batch:
                await self._invoker.handle_batch_async(await gather_async(delivery, inbox.take, batch))
            elif delivery.claim():
                self._meter.begin()
                await handle(delivery)
            if inbox.is_empty() or monotonic() - flushed > patience:
                source.flush()
                flushed = monotonic()
        source.close(_CLOSE_AFTER)

    def _open(self, inbox: Inbox | LoopInbox | AsyncInbox, stop: Stop) -> Source:
        """Start the source, and all that depends on it."""
        source = open_source(self._post, self._function, inbox, self._report)
        self._meter.watch(inbox.size)
        source.start()
        stop.attach(source)
        return source


def open_context(post: Post, function: Function, logger: Logger) -> Context:
    """Return the context that init_context and the handler get."""
    trigger = TriggerInfo(post.trigger.kind, post.trigger.name)
    platform = Platform("local", function.namespace)
    return Context(logger, platform, str(post.index), trigger)


async def _take(inbox: AsyncInbox) -> Delivery | None:
    """Return the next delivery, also where a handler has cancelled the task that all of them run in."""
    while True:
        try:
            return await inbox.get()
        except asyncio.CancelledError:
            continue


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _open_builder(post: Post) -> Builder:
    if post.pool:
        return open_pool_builder([one.trigger for one in post.pool])
    return open_builder(post.trigger)
