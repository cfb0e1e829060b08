"""Kinds of triggers that take messages from a broker, the stack's own or another."""

from typing import Any
from urllib.parse import urlsplit

from stack.config.value import is_own_broker
from stack.plan.broker import AMQP_URL, BROKER_SECRET, has_own_account
from stack.plan.trigger.kind import Model, Named, TriggerKind

# The longest pause between attempts to reach the stack's own broker, which is back within seconds of a restart.
OWN_RECONNECT = "2s"


class BrokerKind(TriggerKind[Model]):
    """A kind whose messages wait in a queue, on the stack's broker at least where they failed."""

    has_broker = True

    def is_on_stack(self, trigger: Model) -> bool:
        """Return whether a trigger means the stack's broker; a secret with the URL of another wins over its url."""
        return not trigger.secret and is_own_broker(trigger.url)

    def needs_account(self, trigger: Model) -> bool:
        """Return whether it needs the stack's account, for its messages or for those that failed."""
        return self.falls_back or self._uses_account(trigger)

    def complete(self, function: Named, name: str, trigger: Model, document: dict[str, Any]) -> None:
        """Add where the broker is, the queue and its type."""
        attributes = document["attributes"]
        if self._uses_account(trigger):
            document |= {"url": self.stack_url, "secret": str(BROKER_SECRET)}
            attributes.setdefault("reconnectInterval", OWN_RECONNECT)
        elif not trigger.url and not trigger.secret:
            document["url"] = AMQP_URL
        attributes["queueName"] = self.name_queue(function, name, trigger)
        attributes["queueType"] = self.find_queue_type(trigger)

    def localise(self, trigger: Model, told: dict[str, Any], *, port: int, broker_url: str) -> dict[str, Any]:
        """Put the broker's address on this machine behind an account of the trigger's own."""
        if not self.is_on_stack(trigger) or "secret" in told:
            return told
        own, there = urlsplit(told["url"]), urlsplit(broker_url)
        account, address = own.netloc.rpartition("@")[0], there.netloc.rpartition("@")[2]
        return {**told, "url": there._replace(netloc=f"{account}@{address}" if account else address).geturl()}

    def name_queue(self, function: Named, name: str, trigger: Model) -> str:
        """Return the queue that it consumes."""
        raise NotImplementedError

    def find_queue_type(self, trigger: Model) -> str:
        """Return the type of its queue, and of those for its failed messages; nothing leaves it to the broker."""
        raise NotImplementedError

    def _uses_account(self, trigger: Model) -> bool:
        """Return whether it logs in to the stack's broker as the stack's own clients do."""
        return self.is_on_stack(trigger) and not has_own_account(trigger.url) and not trigger.username
