"""What would happen: the difference between what is rendered and what runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is done to a service."""

    CREATE = "create"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True)
class Running:
    """A container, as far as a change depends on it."""

    service: str
    config_hash: str
    is_running: bool


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why."""

    service: str
    action: Action
    reason: str


def find_changes(wanted: Mapping[str, str], running: Iterable[Running]) -> tuple[Change, ...]:
    """Compare the wanted services, each with Compose's hash of its configuration, with the containers there are."""
    found: dict[str, list[Running]] = {}
    for container in running:
        found.setdefault(container.service, []).append(container)
    changes = [_compare(service, config_hash, found.get(service, [])) for service, config_hash in wanted.items()]
    orphans = [name for name in found if name not in wanted]
    return (*changes, *(Change(name, Action.REMOVE, "is no longer wanted") for name in orphans))


def _compare(service: str, config_hash: str, containers: list[Running]) -> Change:
    if not containers:
        return Change(service, Action.CREATE, "does not run yet")
    if any(container.config_hash != config_hash for container in containers):
        return Change(service, Action.REPLACE, "its configuration changed")
    if not all(container.is_running for container in containers):
        return Change(service, Action.CREATE, "is stopped")
    return Change(service, Action.KEEP, "runs as rendered")
