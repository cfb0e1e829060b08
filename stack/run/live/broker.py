"""The topic `broker`: queues, exchanges and bindings, and who consumes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from time import monotonic
from typing import Any

from stack.errors import BrokerError
from stack.run.live.engine import FAILURES, AsyncEngine
from stack.run.live.management import Consumer, Exchange, Flow, Management, Queue
from stack.run.live.observer import PREFIX
from stack.run.live.speed import Speedometer

_PAUSE = 2.0


class BrokerSource:
    """What RabbitMQ holds, but for the queues by which we observe it."""

    pause = _PAUSE

    def __init__(self, management: Management, engine: AsyncEngine) -> None:
        self._management = management
        self._engine = engine
        self._speedometer = Speedometer()

    async def look(self) -> dict[str, Any]:
        """Return everything; empty, and why, while the broker does not answer."""
        ask = self._management
        try:
            queues, exchanges, bindings, consumers = await asyncio.gather(
                ask.queues(), ask.exchanges(), ask.bindings(), ask.consumers()
            )
        except BrokerError as error:
            return {"queues": [], "exchanges": [], "bindings": [], "reachable": False, "problem": str(error)}
        functions = await find_functions(self._engine)
        self._speedometer.forget(monotonic())
        return {
            "queues": [self._tell(one, consumers, functions) for one in queues if not one.name.startswith(PREFIX)],
            "exchanges": [self._tell_exchange(one) for one in exchanges],
            "bindings": [asdict(one) for one in bindings if not one.destination.startswith(PREFIX)],
            "reachable": True,
            "problem": "",
        }

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _tell(self, queue: Queue, consumers: Sequence[Consumer], functions: Mapping[str, str]) -> dict[str, Any]:
        own = [one for one in consumers if one.queue == queue.name]
        return {
            "name": queue.name,
            "durable": queue.durable,
            "exclusive": queue.exclusive,
            "messages": queue.messages,
            "ready": queue.ready,
            "unacked": queue.unacked,
            "consumers": queue.consumers,
            "publish_rate": self._measure(queue.published, queue.name, "published"),
            "deliver_rate": self._measure(queue.delivered, queue.name, "delivered"),
            "functions": sorted({functions[one.host] for one in own if one.host in functions}),
            "others": sum(one.host not in functions for one in own),
        }

    def _tell_exchange(self, exchange: Exchange) -> dict[str, Any]:
        return {
            "name": exchange.name,
            "type": exchange.type,
            "durable": exchange.durable,
            "internal": exchange.internal,
            "in_rate": self._measure(exchange.taken, exchange.name, "taken"),
            "out_rate": self._measure(exchange.given, exchange.name, "given"),
        }

    def _measure(self, flow: Flow, *key: str) -> float:
        return self._speedometer.measure(key, flow.total, monotonic(), otherwise=flow.rate)


async def find_functions(engine: AsyncEngine) -> dict[str, str]:
    """Return the function at each address of the stack's network; none while Docker does not answer."""
    try:
        instances = await engine.instances()
    except FAILURES:
        return {}
    return {one.address: one.container.function for one in instances if one.address and one.container.function}
