"""How a function's handlers do: events that fail, and workers that are stuck in one."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stack.plan.trouble import Trouble

# So many failures, and such a share of the last events, are worth a word.
_FEW, _SHARE = 3, 0.2


@dataclass(frozen=True)
class Handling:
    """What the containers of a function tell of their handlers, together."""

    busy_seconds: float = 0.0
    """How long the longest event in hand has taken so far."""
    stuck_workers: int = 0
    """How many workers have been at one event for more than a minute."""
    recent_events: int = 0
    recent_failures: int = 0
    """Of the last events, fifty or a little more of each container, how many failed."""
    refusal: str = ""
    """Which queue of failed messages the broker refuses, and why; empty when it does not."""

    def __add__(self, other: "Handling") -> "Handling":
        return Handling(
            max(self.busy_seconds, other.busy_seconds),
            self.stuck_workers + other.stuck_workers,
            self.recent_events + other.recent_events,
            self.recent_failures + other.recent_failures,
            self.refusal or other.refusal,
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as the dashboard's pages take it."""
        return asdict(self)


def read_handling(document: Mapping[str, Any]) -> Handling:
    """Return what a document holds of it; what it does not hold, as one of an older release, is nothing."""
    return Handling(
        float(document.get("busy_seconds") or 0.0),
        int(document.get("stuck_workers") or 0),
        int(document.get("recent_events") or 0),
        int(document.get("recent_failures") or 0),
        str(document.get("refusal") or ""),
    )


def find_handling_troubles(name: str, handling: Handling) -> Iterator[Trouble]:
    """Yield what is wrong with the handlers of a function."""
    if stuck := handling.stuck_workers:
        workers = "a worker has" if stuck == 1 else f"{stuck} workers have"
        what = f"{workers} been at one event for {_tell_time(handling.busy_seconds)}."
        advice = f"`invoke logs {name}` shows what it said last; its eventTimeout ends such an event."
        yield Trouble(name, what, advice, "warn")
    if handling.refusal:
        what = f"cannot keep what it fails at: {handling.refusal}."
        advice = "None is lost: these messages stay unacknowledged. Let the trigger's account configure and write it."
        yield Trouble(name, what, advice, "warn")
    events, failures = handling.recent_events, handling.recent_failures
    if failures >= _FEW and failures >= events * _SHARE:
        what = f"{failures} of its last {events} events failed."
        yield Trouble(name, what, f"`invoke logs {name}` shows the errors.", "warn")


def _tell_time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
