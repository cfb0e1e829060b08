"""A worker: the handler on the main thread, fed by a source on an I/O thread.

The main thread is the handler's, since signals and some libraries want it; so a handler that takes an hour misses no
heartbeat of its broker.
"""

import asyncio
import inspect
from time import monotonic
from types import CoroutineType
from typing import Any

from nuclio_sdk import Context, Logger, Platform, TriggerInfo

from stack.processor.configuration import Function
from stack.processor.delivery import Delivery, Failure
from stack.processor.event import Builder, open_builder
from stack.processor.handler import (
    Handler,
    HandlerError,
    find_init_context,
    format_user_traceback,
    is_async,
    load_handler,
)
from stack.processor.inbox import AsyncInbox, Inbox
from stack.processor.logger import open_logger
from stack.processor.post import Post
from stack.processor.response import Response, refuse, respond
from stack.processor.source.catalogue import open_source
from stack.processor.status import State, StatusWriter
from stack.processor.stop import Stop

# Outcomes wait at most this many seconds for more of their kind while the handler is busy with other events.
_FLUSH_AFTER = 0.001
# Seconds that a source may take to send the last outcomes.
_CLOSE_AFTER = 5.0
# Characters of an error that travel in the headers of a message.
_ERROR_LIMIT = 1000


class Worker:
    """Runs the events of one post through the handler, one at a time."""

    def __init__(self, post: Post, function: Function, status: StatusWriter) -> None:
        self._post = post
        self._function = function
        self._status = status
        self._logger: Logger = open_logger(post.logger_name, function.log_level)
        self._logger.bind(worker_id=str(post.index))
        self._context = open_context(post, function, self._logger)
        self._build: Builder = open_builder(post.trigger)
        self._handler: Handler = _refuse_all
        # The loop of async functions; it is made when the first is run.
        self._runner = asyncio.Runner()

    def run(self, stop: Stop) -> int:
        """Load the handler, and serve until told to stop; return the exit status."""
        try:
            self._handler = load_handler(self._function.handler, self._function.folder)
        except HandlerError as error:
            self._status.tell(State.BROKEN, str(error))
            return 1
        try:
            if not self._prepare():
                return 1
            if is_async(self._handler):
                self._runner.run(self._serve_async(stop))
            else:
                self._serve(stop)
            self._end()
        finally:
            self._runner.close()
        return 0

    def _prepare(self) -> bool:
        """Call the user's init_context; tell whether it went well."""
        prepare = find_init_context(self._handler)
        try:
            if prepare:
                self._complete(prepare(self._context))
        except BaseException as error:
            self._logger.error_with("init_context failed", traceback=format_user_traceback(error))
            self._status.tell(State.FAILED, f"init_context failed: {_describe(error)}")
            return False
        return True

    def _end(self) -> None:
        """Call the user's termination callback."""
        try:
            self._complete(self._context.platform._on_signal("termination"))
        except BaseException as error:
            self._logger.error_with("the termination callback failed", traceback=format_user_traceback(error))

    def _complete(self, result: Any) -> Any:
        """Return what a user's function returned, or what that, being awaitable, comes to."""
        return self._runner.run(_wait_for(result)) if inspect.isawaitable(result) else result

    def _serve(self, stop: Stop) -> None:
        inbox = Inbox()
        source = open_source(self._post, self._function, inbox, self._status.tell)
        source.start()
        stop.attach(source)
        flushed = 0.0
        while (delivery := inbox.get()) is not None:
            if delivery.claim():
                self._handle(delivery)
            if inbox.is_empty() or monotonic() - flushed > _FLUSH_AFTER:
                source.flush()
                flushed = monotonic()
        source.close(_CLOSE_AFTER)

    async def _serve_async(self, stop: Stop) -> None:
        inbox = AsyncInbox(asyncio.get_running_loop())
        source = open_source(self._post, self._function, inbox, self._status.tell)
        source.start()
        stop.attach(source)
        flushed = 0.0
        while (delivery := await inbox.get()) is not None:
            if delivery.claim():
                await self._handle_async(delivery)
            if inbox.is_empty() or monotonic() - flushed > _FLUSH_AFTER:
                source.flush()
                flushed = monotonic()
        source.close(_CLOSE_AFTER)

    def _handle(self, delivery: Delivery) -> None:
        try:
            result = self._handler(self._context, self._build(delivery.message))
            if isinstance(result, CoroutineType):
                # A decorator may hide that the handler is async.
                result = self._complete(result)
            response = respond(result)
        except BaseException as error:
            self._fail(delivery, error)
        else:
            _settle(delivery, response)

    async def _handle_async(self, delivery: Delivery) -> None:
        try:
            response = respond(await self._handler(self._context, self._build(delivery.message)))
        except BaseException as error:
            self._fail(delivery, error)
        else:
            _settle(delivery, response)

    def _fail(self, delivery: Delivery, error: BaseException) -> None:
        trace = format_user_traceback(error)
        self._logger.error_with("Exception caught in handler", exc=str(error), traceback=trace)
        origin = next((line.strip() for line in reversed(trace.splitlines()) if line.startswith("  File")), "")
        failure = Failure(_describe(error), origin[:_ERROR_LIMIT])
        delivery.failed(refuse(500, f'Exception caught in handler - "{error}": {trace}'), failure)


def open_context(post: Post, function: Function, logger: Logger) -> Context:
    """Return the context that init_context and the handler get."""
    trigger = TriggerInfo(post.trigger.kind, post.trigger.name)
    return Context(logger, Platform("local", function.namespace), str(post.index), trigger)


def _settle(delivery: Delivery, response: Response) -> None:
    if response.is_failure:
        delivery.failed(response, Failure(f"the handler answered with status {response.status}", ""))
    else:
        delivery.done(response)


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]


def _refuse_all(_context: Any, _event: Any) -> None:
    raise HandlerError("no handler is loaded")
