"""What the control plane does differently for one kind of trigger than for another: nothing else asks for the kind.

A kind is an entry, `KIND` of its module, which replaces here what is not true of it. What the methods say in this
module is right for a kind that needs no broker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from stack.config.trigger.base import BaseTrigger
from stack.plan.broker import Bound

Model = TypeVar("Model", bound=BaseTrigger)


class Named(Protocol):
    """What has the names of a function."""

    @property
    def name(self) -> str:
        """The function's name."""

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""


@dataclass(frozen=True)
class Scaffold:
    """What a new function begins with that has such a trigger: the files of templates/new-function/TEMPLATE.

    `event` is a command that gives the function `{name}` an event; nothing where the events come by themselves.
    """

    template: str
    title: str
    event: str = ""


class TriggerKind(Generic[Model]):
    """One kind of trigger."""

    scaffold: ClassVar[Scaffold]
    box: ClassVar[tuple[str, str]] = ("Other brokers", "not of this stack")
    """On the overview's map, where its events come from if not out of a queue of the stack's broker, and a note."""
    has_port: ClassVar[bool] = False
    """Whether clients call it on a port of the container, to which the gateway leads them."""
    has_broker: ClassVar[bool] = False
    """Whether it takes messages from a broker, which its url or its secret names; empty is the stack's own."""
    falls_back: ClassVar[bool] = False
    """Whether it needs the stack's broker also where its source is another, or none."""
    stack_url: ClassVar[str] = ""
    """Where it finds the stack's own broker, without an account."""
    address_name: ClassVar[str] = "Routing key"
    """What the address of a message is called by those who publish it."""
    test_hint: ClassVar[str] = "Goes into the queue of this function alone, as if published to {exchange}."
    """What becomes of a test message."""

    def is_on_stack(self, trigger: Model) -> bool:
        """Return whether it takes messages from the stack's own broker."""
        return False

    def wakes(self, trigger: Model) -> bool:
        """Return whether the scaler sees that there is something to do, and so can start a function that sleeps."""
        return self.has_port or self.is_on_stack(trigger)

    def needs_account(self, trigger: Model) -> bool:
        """Return whether its container is given an account of the stack's broker."""
        return self.falls_back

    def keeps_failed(self, trigger: Model) -> bool:
        """Return whether a message whose handler failed is tried again, and kept in the end."""
        return self.has_broker

    def has_lock(self, trigger: Model, nodes: int) -> bool:
        """Return whether one replica alone runs it: the one that consumes a queue of the broker of so many nodes."""
        return False

    def find_queue(self, function: Named, name: str, trigger: Model) -> Bound | None:
        """Return its queue on the stack's broker, and what is bound to it; None if it has none."""
        return None

    def list_names(self, trigger: Model) -> Mapping[str, str]:
        """Return the queues and exchanges of the stack's broker that its author named, by attribute."""
        return {}

    def complete(self, function: Named, name: str, trigger: Model, document: dict[str, Any]) -> None:
        """Add to what the processor is told of a trigger what its author left out."""

    def localise(self, trigger: Model, told: dict[str, Any], *, port: int, broker_url: str) -> dict[str, Any]:
        """Return what the processor is told where it runs on this machine, without Docker."""
        return told

    def to_key(self, address: str) -> str:
        """Return the routing key of an address that was published to."""
        return address

    def to_address(self, key: str) -> str:
        """Return the address of a routing key, as those say it who publish."""
        return key
