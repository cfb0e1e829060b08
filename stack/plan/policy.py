"""The broker's policies: how much queues may hold, and what they do then."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.config.settings import Settings
from stack.plan.dead_letter import DEAD

_MEGABYTE = 1000 * 1000
_DAY_MILLISECONDS = 24 * 3600 * 1000
# Only a quorum queue counts deliveries, and forgets a message after 20 unless it is told otherwise. A function has a
# rule of its own, by attempts. Without any limit RabbitMQ would put what is given back behind all others.
_DELIVERIES = {"delivery-limit": 1_000_000_000}
_REFUSE = {"overflow": "reject-publish"}
_DROP_OLDEST = {"overflow": "drop-head"}
# One policy alone applies to a queue: that of the highest priority whose pattern matches.
_ALL, _TEMPORARY, _DEAD = 0, 1, 2


@dataclass(frozen=True)
class Policy:
    """What holds for the queues whose names match a pattern, of the one type and of the other."""

    name: str
    pattern: str
    priority: int
    definition: Mapping[str, Any]

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield it as RabbitMQ takes it: a policy with a key that a type of queues does not know is none for these."""
        for queues, more in (("classic_queues", {}), ("quorum_queues", _DELIVERIES)):
            yield {
                "vhost": "/",
                "name": f"{self.name}-{queues.partition('_')[0]}",
                "pattern": self.pattern,
                "apply-to": queues,
                "definition": {**self.definition, **more},
                "priority": self.priority,
            }


def policies(settings: Settings) -> str:
    """Return the definitions of the policies as a JSON document.

    A full queue refuses publishers, so that nothing that was confirmed is lost. Dead letters are kept for a while, and
    the oldest go first: were new ones refused, the function would have to hold them, and to stop. What waits for a
    client that has left for a moment drops the oldest too: it must not stand in the way of an exchange's other queues.
    """
    most = settings.queue.megabytes * _MEGABYTE
    dead = {
        "max-length-bytes": settings.dead_letters.megabytes * _MEGABYTE,
        "message-ttl": settings.dead_letters.days * _DAY_MILLISECONDS,
        **_DROP_OLDEST,
    }
    found = (
        Policy("tidegate-queues", ".*", _ALL, {"max-length-bytes": most, **_REFUSE}),
        Policy(
            "tidegate-temporary",
            r"^(amq\.gen|mqtt-subscription-|tidegate-)",
            _TEMPORARY,
            {"max-length-bytes": most, **_DROP_OLDEST},
        ),
        Policy("tidegate-dead", re.escape(DEAD) + "$", _DEAD, dead),
    )
    return json.dumps({"policies": [one for policy in found for one in policy.documents()]}, indent=2) + "\n"
