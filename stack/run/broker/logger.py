"""The logger: prints what the functions say on iot/logs, and keeps it if told to."""

from collections.abc import Sequence
from datetime import UTC, datetime

from stack import console
from stack.errors import StackError
from stack.run.broker.broker import find_broker
from stack.run.broker.listener import Listener, Message, Queue
from stack.run.broker.sink import Record, open_sink
from stack.run.stack import open_stack

# As the tutorial's own logger declares it.
LOGS, IS_DURABLE = "iot/logs", False

_PREFETCH = 500
_LOOK_SECONDS = 1.0


def log_feedback(count: int, output: str) -> None:
    """Print messages as they come, so many or until Ctrl-C; each is acknowledged once it is stored.

    Raises:
        StackError: `count` is negative, the file cannot be written, or the broker cannot be reached.
    """
    if count < 0:
        raise StackError(f"--count {count}: should be 1 or more, or 0 to go on until Ctrl-C.")
    queue = Queue(LOGS, IS_DURABLE, prefetch=min(count, _PREFETCH) or _PREFETCH)
    with open_sink(output) as sink, Listener(find_broker(open_stack()), [queue], told=console.warn) as listener:
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
