"""The topic `broker`: queues, exchanges and bindings, and who consumes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stack.errors import BrokerError
from stack.run.live.engine import FAILURES, AsyncEngine
from stack.run.live.management import Consumer, Management, Queue
from stack.run.live.observer import PREFIX

_PAUSE = 2.0


class BrokerSource:
    """What RabbitMQ holds, but for the queues by which we observe it."""

    pause = _PAUSE

    def __init__(self, management: Management, engine: AsyncEngine) -> None:
        self._management = management
        self._engine = engine

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
        return {
            "queues": [_describe(one, consumers, functions) for one in queues if not one.name.startswith(PREFIX)],
            "exchanges": [asdict(exchange) for exchange in exchanges],
            "bindings": [asdict(one) for one in bindings if not one.destination.startswith(PREFIX)],
            "reachable": True,
            "problem": "",
        }

    async def rest(self) -> None:
        """Do nothing: nothing is open."""


async def find_functions(engine: AsyncEngine) -> dict[str, str]:
    """Return the function at each address of the stack's network; none while Docker does not answer."""
    try:
        instances = await engine.instances()
    except FAILURES:
        return {}
    return {one.address: one.container.function for one in instances if one.address and one.container.function}


def _describe(queue: Queue, consumers: Sequence[Consumer], functions: Mapping[str, str]) -> dict[str, Any]:
    own = [one for one in consumers if one.queue == queue.name]
    return {
        **asdict(queue),
        "functions": sorted({functions[one.host] for one in own if one.host in functions}),
        "others": sum(one.host not in functions for one in own),
    }
