"""A backup's manifest: what is in it, of which versions, and the digest of each part."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from stack.config.alert import FOLDER as ALERTS
from stack.config.device import FOLDER as DEVICES
from stack.config.device import TYPES as DEVICE_TYPES
from stack.config.source import FOLDER as FUNCTIONS
from stack.contract import RETRY
from stack.plan.device_account import SERVICE_ACCOUNT

# Members of the file. HEADER and KEY come first, so that a wrong passphrase is told at once, and MANIFEST and SEALED
# last, so that a file that is cut off has neither.
HEADER, KEY, MANIFEST, SEALED = "tidegate-backup.json", "key.json", "manifest.json", "sealed"
# The folders of what people write.
WRITTEN = (FUNCTIONS, ALERTS, DEVICES, DEVICE_TYPES)
WORKSPACE, STATE, IMAGES, BROKER, VOLUMES = "workspace/", "state/", "images/", "broker/", "volumes/"

# Below .stack/state, what tells of functions; the rest is of this machine, or of a task that runs.
KEPT_STATE = ("functions", "copies", "revisions", "replicas", "deploys", "sources", "removed")
# What of a broker's definitions is imported where its data is not in the backup; `up` makes bridges.
_KEPT = ("exchanges", "queues", "bindings", "policies", "users", "permissions", "topic_permissions")


class Header(BaseModel):
    """What a file says of itself first."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tidegate_backup: Literal[1] = 1
    """The format, which later releases that know it still read."""
    project: str
    made: datetime
    architecture: str = ""
    """What its images run on, by Docker's name: amd64, arm64."""


class QueueCount(BaseModel):
    """How many messages a durable queue held: at least and at most, while the copy was made."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    least: int
    most: int


class BrokerFacts(BaseModel):
    """The broker whose data it is."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    volume: str
    """Compose's name of the volume."""
    image: str
    version: str
    """RabbitMQ's."""
    paused_seconds: float = 0.0
    queues: dict[str, QueueCount] = {}


class Manifest(BaseModel):
    """What is in a backup."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    header: Header
    functions: dict[str, int] = {}
    """The revision that ran of each deployed function."""
    images: tuple[str, ...] = ()
    """Those that are in it, of all revisions."""
    missing_images: tuple[str, ...] = ()
    """Those that were gone already, or left out."""
    broker: BrokerFacts | None = None
    has_definitions: bool = False
    """Whether what the broker knows is in it without its data, of which one node of several has no use alone."""
    volumes: tuple[str, ...] = ()
    """Compose's names of the volumes in which functions keep data."""
    members: dict[str, str] = {}
    """The SHA-256 of each file in it, in hexadecimal."""


class Sealed(BaseModel):
    """What only the passphrase opens."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    manifest: str
    """The SHA-256 of the manifest, so that who does not know the passphrase can change nothing."""
    secrets: dict[str, str] = {}
    """Each file of .stack/secrets, by its path below it, in base64."""
    definitions: dict[str, Any] = {}
    """RabbitMQ's definitions as it exports them: to look at where its data is in the backup, else to be imported."""


@dataclass(frozen=True)
class Sample:
    """A queue at one moment: the messages that wait, those that consumers hold, and what came and went so far.

    Only what waits is exact; the rest is RabbitMQ's figures, which are up to a second old.
    """

    waiting: int
    held: int = 0
    published: int = 0
    taken: int = 0


def bound_counts(before: Mapping[str, Sample], after: Mapping[str, Sample]) -> dict[str, QueueCount]:
    """Return what each queue may have held between two samples; one that came or went in between is left out."""
    return {name: _bound(one, after[name]) for name, one in before.items() if name in after}


def _bound(before: Sample, after: Sample) -> QueueCount:
    least = min(before.waiting, after.waiting) - max(0, after.taken - before.taken)
    most = max(one.waiting + one.held for one in (before, after)) + max(0, after.published - before.published)
    return QueueCount(least=max(0, least), most=most)


def compare_queues(wanted: Mapping[str, QueueCount], found: Mapping[str, int]) -> tuple[str, ...]:
    """Return a line for each durable queue that a restored broker lacks, or has with another number of messages.

    Messages that wait for another try go back to their queue meanwhile, and so the two are counted together.
    """
    lines = [f"the queue {name} is missing" for name in sorted(wanted) if name not in found]
    for source in sorted({_source(name) for name in wanted if name in found}):
        counts = [one for name, one in wanted.items() if _source(name) == source]
        messages = sum(number for name, number in found.items() if _source(name) == source)
        least, most = sum(one.least for one in counts), sum(one.most for one in counts)
        # A broker that starts says much of itself, which waits there for the service of devices.
        may_grow = source == SERVICE_ACCOUNT
        if messages < least or (messages > most and not may_grow):
            held = str(least) if least == most else f"{least} to {most}"
            lines.append(f"the queue {source} holds {messages} messages, and held {held}")
    return tuple(lines)


def _source(queue: str) -> str:
    return queue.partition(RETRY)[0]


def compare_definitions(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each durable exchange, queue, binding, policy, user and permission that is otherwise now."""
    lines: list[str] = []
    for kind in ("exchanges", "queues", "bindings", "policies", "users", "permissions"):
        there = [_describe(kind, one) for one in found.get(kind, ()) if _outlasts(kind, one, definitions=found)]
        before = (_describe(kind, one) for one in wanted.get(kind, ()) if _outlasts(kind, one, definitions=wanted))
        gone = (json.dumps(one, sort_keys=True) for one in before if one not in there)
        lines += [f"{kind}: {one} is missing or changed" for one in gone]
    return tuple(lines)


def _outlasts(kind: str, one: Mapping[str, Any], *, definitions: Mapping[str, Any]) -> bool:
    """Return whether a definition is there again when the broker starts; a binding is if both its ends are."""
    if kind != "bindings":
        return bool(one.get("durable", True))
    lasting = {name: _lasting(definitions, name) for name in ("exchanges", "queues")}
    ends = "queues" if one["destination_type"] == "queue" else "exchanges"
    source = one["source"]
    return (source.startswith("amq.") or source in lasting["exchanges"]) and one["destination"] in lasting[ends]


def keep_lasting(definitions: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return what of a broker's definitions another one is to have, which is told nothing else of them."""
    return {
        kind: [one for one in definitions.get(kind, ()) if _outlasts(kind, one, definitions=definitions)]
        for kind in _KEPT
    }


def _lasting(definitions: Mapping[str, Any], kind: str) -> set[str]:
    return {one["name"] for one in definitions.get(kind, ()) if one.get("durable", True)}


def _describe(kind: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a definition counts: of a user the name and tags, since a password may be hashed again."""
    names = ("name", "tags") if kind == "users" else tuple(one)
    return {name: one.get(name) for name in names}
