"""What of an older export no one can change any more, once it was applied."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

TOPOLOGY = "topology.yaml"
# Kinds of which RabbitMQ changes nothing, and what of their objects is the operator's own business.
_FIXED, _FREE = ("Queue", "Exchange"), ("deletionPolicy",)


def find_conflicts(before: bytes, after: bytes) -> Iterator[str]:
    """Yield a line for each queue and exchange that is declared otherwise than in the topology of an older export."""
    known = _read(before)
    for identity, spec in _read(after).items():
        if identity in known and known[identity] != spec:
            kind, namespace, name = identity
            command = f"kubectl delete --namespace {namespace} {kind.lower()}.rabbitmq.com/{name}"
            yield (
                f"the {kind.lower()} {spec['name']!r} is declared otherwise than before, which the topology operator "
                f"refuses: `{command}` first, and delete it at the broker, once it is empty"
            )


def _read(content: bytes) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for one in yaml.load_all(content, yaml.CSafeLoader):
        if one and one["kind"] in _FIXED:
            identity = (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"])
            found[identity] = {key: value for key, value in one["spec"].items() if key not in _FREE}
    return found
