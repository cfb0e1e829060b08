"""What functions have done of late, asked of each container over the stack's network."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from aiohttp import ClientError, ClientSession, ClientTimeout

from stack.plan.function_health import Handling
from stack.plan.metrics import Counters, read_condition, read_counters
from stack.run.docker.address import find_url
from stack.run.live.engine import Instance

METRICS_PORT = 8090

# Seconds over which rates are told, and between two looks that are kept for it.
_WINDOW, _STEP = 60.0, 2.0
_TIMEOUT = ClientTimeout(total=2.0)
_NOTHING = Counters()


@dataclass(frozen=True)
class Figures:
    """A function's figures: since its containers started, and of the last minute; rates a second need two looks."""

    total: Counters
    rate: float | None
    failure_rate: float | None
    recent: Counters
    handling: Handling = field(default_factory=Handling)

    @property
    def timed(self) -> Counters:
        """Return the events whose durations tell how it is: the last minute's, or if there were none, all."""
        return self.recent if self.recent.events else self.total


@dataclass
class Track:
    """The looks at one container over the last minute."""

    looks: deque[tuple[float, Counters]] = field(default_factory=deque)

    def note(self, now: float, counters: Counters) -> None:
        """Keep a look, and forget those that are too old."""
        looks = self.looks
        if looks and looks[-1][1].events > counters.events:
            # It was started again.
            looks.clear()
        while looks and looks[0][0] < now - _WINDOW:
            looks.popleft()
        if len(looks) < 2 or now - looks[-2][0] >= _STEP:
            looks.append((now, counters))
        else:
            looks[-1] = (now, counters)

    def measure(self) -> Figures:
        """Return what the looks tell."""
        (then, before), (now, counters) = self.looks[0], self.looks[-1]
        recent, seconds = counters - before, max(now - then, 1.0)
        if len(self.looks) == 1:
            return Figures(counters, None, None, recent)
        return Figures(counters, recent.events / seconds, recent.failures / seconds, recent)


class FigureReader:
    """Remembers each container's counters for a minute."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._tracks: dict[str, Track] = {}

    async def read(self, instances: Sequence[Instance]) -> dict[str, Figures]:
        """Ask every running container of a function; return the figures by function, of those that answered."""
        asked = [one for one in instances if one.container.function and one.address]
        answers = await asyncio.gather(*(self._ask(one) for one in asked))
        now = monotonic()
        found: dict[str, list[Figures]] = {}
        for one, page in zip(asked, answers, strict=True):
            if page is not None:
                track = self._tracks.setdefault(one.container.id, Track())
                track.note(now, read_counters(page))
                figures = replace(track.measure(), handling=read_condition(page).handling)
                found.setdefault(one.container.function, []).append(figures)
        self._tracks = {
            one.container.id: self._tracks[one.container.id] for one in asked if one.container.id in self._tracks
        }
        return {name: _sum(several) for name, several in found.items()}

    async def _ask(self, instance: Instance) -> str | None:
        url = find_url(instance.address, METRICS_PORT, "/metrics")
        try:
            async with self._session.get(url, timeout=_TIMEOUT) as answer:
                return await answer.text()
        except (ClientError, OSError, TimeoutError, ValueError):
            return None


def _sum(several: Sequence[Figures]) -> Figures:
    return Figures(
        sum((one.total for one in several), _NOTHING),
        _sum_rates(one.rate for one in several),
        _sum_rates(one.failure_rate for one in several),
        sum((one.recent for one in several), _NOTHING),
        sum((one.handling for one in several), Handling()),
    )


def _sum_rates(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
