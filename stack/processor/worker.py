"""A worker: the handler on the main thread, fed by a source whose I/O another thread sees to while the handler is busy.

The main thread is the handler's, since signals and some libraries want it; so a handler that takes an hour misses no
heartbeat of its broker.
"""

import asyncio
import inspect
from contextvars import copy_context
from time import monotonic
from typing import Any

from nuclio_sdk import Context, Logger, Platform, TriggerInfo

from stack.processor.batch import gather, gather_async
from stack.processor.caller import CallerRights, read_rights
from stack.processor.configuration import Function
from stack.processor.delivery import AsyncDeliveryQueue, Delivery, DeliveryQueue, Source
from stack.processor.devices import open_devices
from stack.processor.event import Builder, EventForm
from stack.processor.invocation import Invoker
from stack.processor.logger import open_logger
from stack.processor.loop import LoopSharingQueue
from stack.processor.output.commit import Wakeup
from stack.processor.output.sender import open_outputs
from stack.processor.pipeline import Pipeline
from stack.processor.request import Requester
from stack.processor.runtime.process import HandlerProcess
from stack.processor.runtime.registry import Handler, HandlerError, describe_error, find_runtime
from stack.processor.source.opener import find_flush_interval, open_queue, open_source
from stack.processor.status import SourceReport, State, StatusWriter
from stack.processor.threads import StopSignal
from stack.processor.trigger.registry import open_builder, open_pool_builder
from stack.processor.worker_spec import WorkerSpec

# Seconds that a source may take to send the last outcomes.
_CLOSE_AFTER = 5.0
# Why there are no events yet, while the author's code may wait for something.
_PREPARING = "init_context has not returned"


class Worker:
    """Runs events through the handler, one at a time."""

    def __init__(self, spec: WorkerSpec, function: Function, status: StatusWriter) -> None:
        self._spec = spec
        self._function = function
        self._status = status
        self._stats = spec.stats
        self._report = SourceReport(status.send, spec.stats)
        self._runtime = find_runtime(function.runtime)
        self._logger: Logger = open_logger(spec.logger_name, function.sink)
        self._logger.bind(worker_id=str(spec.index))
        self._context = open_context(spec, function, self._logger)
        self._outputs = open_outputs(function, self._context)
        # The loop of async functions; it is made when the first is run.
        self._runner = asyncio.Runner()

    def run(self, stop: StopSignal) -> int:
        """Load the handler, and serve until told to stop; return the exit status."""
        try:
            if self._spec.debug_port:
                self._runtime.start_debugger(self._spec.debug_port, False)
            handler = self._runtime.load_handler(self._function.handler, self._function.folder)
        except HandlerError as error:
            self._status.send(State.BROKEN, str(error))
            return 1
        self._outputs.sender.start()
        try:
            if not self._prepare(handler):
                return 1
            self._invoker = Invoker(
                handler,
                self._context,
                build=_open_builder(self._spec, self._runtime.open_form()),
                spec=self._spec,
                complete=self._complete,
                rights=self._read_rights(),
                runtime=self._runtime,
            )
            if isinstance(handler, HandlerProcess):
                return self._serve_process(handler, stop)
            if self._runtime.is_async(handler):
                self._runner.run(self._serve_async(stop))
            else:
                self._serve(stop)
            self._end()
        finally:
            self._outputs.sender.close(_CLOSE_AFTER)
            self._context.request.close()
            self._runner.close()
        return 0

    def _read_rights(self) -> CallerRights:
        attributes, function = self._spec.trigger.attributes, self._function
        return read_rights(attributes, function.signature_key, is_local=function.reloads)

    def _prepare(self, handler: Handler) -> bool:
        """Call the user's init_context; return whether it went well."""
        prepare = self._runtime.find_init_context(handler)
        try:
            if prepare:
                self._status.send(State.STARTING, _PREPARING)
                self._complete(prepare(self._context))
                self._status.send(State.STARTING, "")
        except BaseException as error:
            self._logger.error_with("init_context failed", traceback=self._runtime.format_user_traceback(error))
            self._status.send(State.FAILED, f"init_context failed: {describe_error(error)}")
            return False
        return True

    def _end(self) -> None:
        """Call the user's callbacks: no event comes any more, and the process ends."""
        for which in ("drain", "termination"):
            try:
                self._complete(self._context.platform._on_signal(which))
            except BaseException as error:
                self._logger.error_with(
                    f"the {which} callback failed", traceback=self._runtime.format_user_traceback(error)
                )

    def _complete(self, result: Any) -> Any:
        """Return what a user's function returned, or what that, being awaitable, comes to."""
        # In the context of the event, so that its outbox is found.
        return self._runner.run(_wait_for(result), context=copy_context()) if inspect.isawaitable(result) else result

    def _serve(self, stop: StopSignal) -> None:
        handle, batch = self._invoker.handle, self._spec.trigger.batch
        queue = DeliveryQueue() if batch else open_queue(self._spec)
        source = self._open(queue, stop)
        interval, flushed = find_flush_interval(self._spec), 0.0
        while (delivery := queue.get()) is not None:
            if isinstance(delivery, Wakeup):
                # As the first of a batch it would wait until that is full.
                delivery.claim()
            elif batch and isinstance(queue, DeliveryQueue):
                self._invoker.handle_batch(gather(delivery, queue.take, batch))
            elif delivery.claim():
                handle(delivery)
            if queue.is_empty() or monotonic() - flushed > interval:
                self._invoker.flush()
                source.flush()
                flushed = monotonic()
        self._invoker.drain(source.flush)
        source.close(_CLOSE_AFTER)

    async def _serve_async(self, stop: StopSignal) -> None:
        handle, batch = self._invoker.handle_async, self._spec.trigger.batch
        queue = AsyncDeliveryQueue(asyncio.get_running_loop())
        source = self._open(queue, stop)
        interval, flushed = find_flush_interval(self._spec), 0.0
        while (delivery := await _take(queue)) is not None:
            if isinstance(delivery, Wakeup):
                delivery.claim()
            elif batch:
                await self._invoker.handle_batch_async(await gather_async(delivery, queue.take, batch))
            elif delivery.claim():
                await handle(delivery)
            if queue.is_empty() or monotonic() - flushed > interval:
                self._invoker.flush()
                source.flush()
                flushed = monotonic()
        self._invoker.drain(source.flush)
        source.close(_CLOSE_AFTER)

    def _serve_process(self, process: HandlerProcess, stop: StopSignal) -> int:
        queue = open_queue(self._spec)
        interval = find_flush_interval(self._spec)
        pipeline = Pipeline(process, self._invoker, queue, context=self._context, interval=interval)
        pipeline.attach()
        source = self._open(queue, stop)
        pipeline.watch(self._spec)
        if code := pipeline.serve(source):
            return code
        source.close(_CLOSE_AFTER)
        pipeline.finish()
        return 0

    def _open(self, queue: DeliveryQueue | LoopSharingQueue | AsyncDeliveryQueue, stop: StopSignal) -> Source:
        """Start the source, and all that depends on it."""
        source = open_source(self._spec, self._function, queue, self._report)
        self._stats.watch(queue.size)
        self._invoker.attach(self._outputs, queue.put)
        source.start()
        stop.attach(source)
        return source


def open_context(spec: WorkerSpec, function: Function, logger: Logger) -> Context:
    """Return the context that init_context and the handler get."""
    trigger = TriggerInfo(spec.trigger.kind, spec.trigger.name)
    platform = Platform("local", function.namespace)
    context = Context(logger, platform, str(spec.index), trigger)
    context.request = Requester(function.broker_mqtt_url, function.name)
    context.devices = open_devices(context)
    return context


async def _take(queue: AsyncDeliveryQueue) -> Delivery | None:
    """Return the next delivery, also where a handler has cancelled the task that all of them run in."""
    while True:
        try:
            return await queue.get()
        except asyncio.CancelledError:
            continue


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _open_builder(spec: WorkerSpec, form: EventForm) -> Builder:
    if spec.pool:
        return open_pool_builder([one.trigger for one in spec.pool], form)
    return open_builder(spec.trigger, form)
