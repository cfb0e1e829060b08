"""What the control plane does differently for one kind of output than for another: nothing else asks for the kind.

A kind is an entry, `KIND` of its module, which replaces here what is not true of it. What the methods say in this
module is right for a kind that needs no broker.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from stack.config.output.base import BaseOutput
from stack.plan.broker import Bound

Model = TypeVar("Model", bound=BaseOutput)


class OutputKind(Generic[Model]):
    """One kind of output."""

    needs_account: ClassVar[bool] = False
    """Whether the container is given an account of the stack's broker."""

    def find_declared(self, output: Model) -> Bound | None:
        """Return the exchange or the queue that it declares at the stack's broker; None if it has none."""
        return None

    def find_address(self, output: Model) -> tuple[str, str]:
        """Return the exchange of the stack's broker that it publishes to, and the routing key; nothing if to none."""
        return "", ""

    def list_names(self, output: Model) -> Mapping[str, str]:
        """Return the queues and exchanges of the stack's broker that its author named, by key."""
        return {}

    def find_secret(self, output: Model) -> str:
        """Return the secret that its messages are sent with, as NAME.KEY; nothing if there is none."""
        return ""

    def find_function(self, output: Model) -> str:
        """Return the function that it calls; nothing if it calls none."""
        return ""

    def complete(self, output: Model, document: dict[str, Any]) -> None:
        """Add to what the processor is told of an output what its author left out."""

    def name_target(self, output: Model) -> str:
        """Return what its box on the map is called: where messages go."""
        raise NotImplementedError
