"""`invoke logger`: what functions say on the queue iot/logs, printed, written to a file, or kept by a service."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from stack import console
from stack.config.container import CLAIM_PREFIX
from stack.config.settings import FILE
from stack.config.yaml_edit import set_value
from stack.docker.client import execute
from stack.docker.stack import Stack, open_stack
from stack.docker.volume import helper, list_volumes
from stack.errors import ConflictError, StackError
from stack.plan.feedback import IS_DURABLE, LOGS, NAME
from stack.plan.function import service_name
from stack.plan.stack_image import control_image
from stack.rabbitmq.listener import Listener, Message, Queue
from stack.rabbitmq.management import find_broker
from stack.run.feedback_file import Record, open_sink
from stack.run.up import bring_up
from stack.state.workspace import open_workspace, write_file


@dataclass(frozen=True)
class LoggerRequest:
    """What `invoke logger` is asked for: how many messages, and the file for them; or what the service has."""

    count: int = 0
    output: str = ""
    kept: bool = False

    def check(self) -> None:
        """Refuse a count that is none.

        Raises:
            StackError: it is negative.
        """
        if self.count < 0:
            raise StackError(f"--count {self.count}: should be 1 or more, or 0 for all.")


def run_logger(request: LoggerRequest, *, service: bool, stop: bool) -> None:
    """Print messages, or what the service has kept; or have the stack run that service, or not any more.

    Raises:
        StackError: options make no sense, a file cannot be written, or the broker or Docker does not answer.
    """
    request.check()
    if stop and not service:
        raise StackError("--stop is for the service: `invoke logger --service --stop`. Ctrl-C ends a logger.")
    if service:
        _switch_service(is_on=not stop)
    elif request.kept:
        _print_kept(request)
    else:
        _log(request)


def _switch_service(*, is_on: bool) -> None:
    """Write into stack.yaml whether there is the service, and bring that about."""
    workspace = open_workspace()
    path = workspace.root / FILE
    before = path.read_text() if path.is_file() else ""
    if open_stack(workspace).settings.logger.service != is_on:
        write_file(path, set_value(before, ("logger", "service"), is_on).encode())
        console.note(f"{FILE}: logger.service is {str(is_on).lower()} now.")
    bring_up()
    if is_on:
        console.success(f"{service_name(NAME)} keeps what arrives on {LOGS}, from now on and after each start.")
        console.say("Next: `invoke logger --kept` prints it; `invoke logger --service --stop` ends it.")
    else:
        console.success(f"No service takes what arrives on {LOGS}. What it kept stays: `invoke logger --kept`.")


_KEPT = "/kept"


def _print_kept(request: LoggerRequest) -> None:
    """Print the lines that the service has kept, the last `count` of them, or write them to a file."""
    stack = open_stack()
    found = deque(_read_kept(stack), request.count or None)
    if not found:
        console.say("No lines are kept. `invoke logger --service` has the stack keep them.")
    with open_sink(request.output) as sink:
        sink.store(tuple(found))
    if request.output:
        console.success(f"{len(found)} lines are in {request.output}.")
        return
    for record in found:
        console.show(f"{record.time}  {record.message}")


def _read_kept(stack: Stack) -> Iterator[Record]:
    """Yield what is in the service's volume, whether it runs or not; a line that was cut off is passed over."""
    project, name = stack.settings.project, f"{CLAIM_PREFIX}{NAME}"
    volume = next((one.name for one in list_volumes(project) if one.short_name == name), None)
    if volume is None:
        return
    with helper(project, control_image(stack.bare_inputs), {f"{_KEPT}:ro": volume}) as container:
        yield from parse_lines(execute(container, "sh", "-c", f"cat {_KEPT}/*.jsonl || true"))


def parse_lines(text: str) -> Iterator[Record]:
    """Yield the records that lines of JSON are; other characters that end a line for Python may be within one."""
    for line in text.split("\n"):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and {"time", "message"} <= found.keys():
                yield Record(str(found["time"]), str(found["message"]), "")


_PREFETCH = 500
_LOOK_SECONDS = 1.0


def _log(request: LoggerRequest) -> None:
    """Print messages as they come, so many or until Ctrl-C; each is acknowledged once it is stored."""
    stack, count = open_stack(), request.count
    if stack.settings.logger.service:
        raise ConflictError(
            f"The stack's own logger takes what arrives on {LOGS}: `invoke logger --kept` prints what it has, and "
            "`invoke logger --service --stop` ends it."
        )
    queue = Queue(LOGS, IS_DURABLE, prefetch=min(count, _PREFETCH) or _PREFETCH)
    with open_sink(request.output) as sink, Listener(find_broker(stack), [queue], told=console.warn) as listener:
        console.note(" [*] Waiting for messages. To exit press CTRL+C")
        heard = 0
        try:
            while not count or heard < count:
                messages = listener.receive(_LOOK_SECONDS)
                if count:
                    messages = messages[: count - heard]
                sink.store(_read(messages))
                for message in messages:
                    console.show(f" [x] Received '{message.text}'")
                listener.acknowledge(messages)
                heard += len(messages)
        except KeyboardInterrupt:
            console.note("Stopped.")


def _read(messages: Sequence[Message]) -> list[Record]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [Record(now, message.text, message.correlation) for message in messages]
