"""What of an older export an apply cannot change any more, or leaves where it is."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

TOPOLOGY = "topology.yaml"
# Kinds of which RabbitMQ changes nothing, and what of their objects is the operator's own business.
_FIXED, _FREE = ("Queue", "Exchange"), ("deletionPolicy",)
# Kinds that hold data, or that older pods need.
_KEPT = ("ConfigMap", "PersistentVolumeClaim")


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


def find_removed(before: Iterable[bytes], after: Iterable[bytes]) -> Iterator[str]:
    """Yield a line for the objects of an older export that are in this one no more: an apply leaves them there.

    Of another namespace nothing is told; nor of what holds data, or of what older pods may be rolled back to.
    """
    now = {one for content in after for one in _identify(content)}
    gone = sorted({one for content in before for one in _identify(content)} - now)
    for namespace in sorted({namespace for namespace, _ in now}):
        if names := " ".join(name for place, name in gone if place == namespace):
            yield f"no more exported, and not removed by an apply: `kubectl delete --namespace {namespace} {names}`"


def _identify(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the namespace of each object that an apply makes, and what kubectl calls it."""
    for one in yaml.load_all(content, yaml.CSafeLoader):
        if one and one["kind"] not in _KEPT and "namespace" in one.get("metadata", {}):
            group, _, _ = one["apiVersion"].rpartition("/")
            kind = f"{one['kind'].lower()}.{group}" if group else one["kind"].lower()
            yield one["metadata"]["namespace"], f"{kind}/{one['metadata']['name']}"


def _read(content: bytes) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for one in yaml.load_all(content, yaml.CSafeLoader):
        if one and one["kind"] in _FIXED:
            identity = (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"])
            found[identity] = {key: value for key, value in one["spec"].items() if key not in _FREE}
    return found
