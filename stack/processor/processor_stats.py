"""What `/status` of a processor tells: its state in numbers. The control plane reads it by the same class."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class ProcessorStats:
    """A processor's state; `reason` is why it cannot handle events, empty when it can."""

    reason: str = ""
    failing_seconds: float = 0.0
    """How long it has failed to start; 0 if it was ready once, or merely waits for a broker."""
    refusal: str = ""
    """Which queue of failed messages the broker refuses, and why; empty when it does not."""
    events: int = 0
    failures: int = 0
    rate: float = 0.0
    """Events a second, over the last minute or since the start."""
    in_flight: int = 0
    busy_seconds: float = 0.0
    """How long the longest of the events in flight has taken so far."""
    stuck_workers: int = 0
    """How many workers have been at one event for more than a minute."""
    recent_events: int = 0
    recent_failures: int = 0
    """Of the last events, up to fifty or a little more, how many there were and how many of them failed."""
    retried: int = 0
    dead_lettered: int = 0
    reconnects: int = 0
    restarts: int = 0

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return what a processor of this release, or of another, tells: fields that are not known are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known})
