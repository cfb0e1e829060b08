"""Where outputs lead to, found by the table of `stack/contract.py`: a broker's exchange or queue, or a call."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Protocol

from stack.contract import OUTPUTS, fill_placeholders, list_placeholders
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Output
from stack.processor.output.message import OutputMessage


@dataclass(frozen=True)
class Address:
    """The routing key or the topic of an output, with placeholders."""

    template: str = ""
    is_topic: bool = False
    takes_key: bool = False
    """Whether `send` may name another."""

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return list_placeholders(self.template)

    def fill(self, key: str | None, values: Mapping[str, object]) -> str:
        """Return the address of one message.

        Raises:
            TypeError: a placeholder has no value, or a value no placeholder, or a key is given where there is none.
            ValueError: a value would make another topic of it.
        """
        names = self._names
        if key is None and not values and not names:
            return self.template
        if unknown := sorted(set(values).difference(names)):
            known = f"it has {', '.join(names)}" if names else "it has none"
            raise TypeError(f"send() got {unknown[0]!r}, which is no placeholder of the output: {known}")
        if key is not None:
            if not self.takes_key:
                raise TypeError("send() got a key, which only a rabbit-mq output with an exchange takes")
            return str(key)
        if missing := [name for name in names if name not in values]:
            raise TypeError(f"send() needs {missing[0]}=…, for {{{missing[0]}}} of {self.template}")
        for name in names:
            self._check(name, str(values[name]))
        return fill_placeholders(self.template, values)

    def _check(self, name: str, value: str) -> None:
        bad, part = ("/+#\0", "level of a topic") if self.is_topic else (".", "word of a routing key")
        if not value or not set(bad).isdisjoint(value):
            raise ValueError(f"send() got {name}={value!r}, which is no {part}")


@dataclass(frozen=True)
class Route:
    """Where an output's messages go at the stack's broker; it declares its exchange or its queue."""

    exchange: str = ""
    queue: str = ""
    is_durable: bool = False
    queue_type: str = ""
    is_persistent: bool = True
    copies: tuple[str, ...] = ()
    """Other queues that get each message too, where they are there."""
    to_key: Callable[[str], str] = str
    """Returns the routing key of an address."""

    @property
    def declares(self) -> bool:
        """Return whether there is something to declare."""
        return bool(self.queue or self.exchange) and not self.exchange.startswith("amq.")


class Call(Protocol):
    """Sends one message, and waits until it has arrived; runs in a thread of its own."""

    def __call__(self, message: OutputMessage) -> None:
        """Send it.

        Raises:
            OutputError: it did not arrive.
        """


@dataclass(frozen=True)
class Target:
    """Where an output leads to: by a route of the broker, or by a call."""

    name: str
    address: Address = Address()
    route: Route | None = None
    call: Call | None = None
    timeout: float = 0.0
    """Seconds that a call may take in all."""
    close: Callable[[], None] | None = None
    """Ends what the calls have kept open."""


OpenTarget = Callable[[Output, Function], Target]


def open_targets(function: Function) -> dict[str, Target]:
    """Return where each of a function's outputs leads to.

    Raises:
        ConfigurationError: there is no such kind, or it needs what is not there.
    """
    targets = {output.name: _find_opener(output)(output, function) for output in function.outputs}
    if needs_broker(targets.values()) and not function.broker_url and not function.reloads:
        raise ConfigurationError("spec.outputs: the stack's broker is not known: there is no secret broker.url")
    return targets


def needs_broker(targets: Iterable[Target]) -> bool:
    """Return whether any leads to the broker."""
    return any(target.route for target in targets)


def _find_opener(output: Output) -> OpenTarget:
    if output.kind not in OUTPUTS:
        where = f"spec.outputs.{output.name}.kind"
        raise ConfigurationError(f"{where}: there is no kind of output {output.kind!r}; kinds: {', '.join(OUTPUTS)}")
    return _load_opener(output.kind)


@cache
def _load_opener(kind: str) -> OpenTarget:
    opener: OpenTarget = import_module(f"stack.processor.output.{OUTPUTS[kind]}").open_target
    return opener
