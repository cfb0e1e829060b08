"""A contest: contestants that are measured alternately, in the same way."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from stack import console
from stack.errors import StackError
from stack.plan.bench import Figures, Rounds, order_rounds
from stack.run.bench.bed import Bed

# What measures one round of one contestant.
Contestants = Mapping[str, Callable[[], Figures]]
# Makes ready what a contest needs; what stays open is closed with the stack.
OpenContest = Callable[[Bed, ExitStack], Contestants]


# Of what takes less than two seconds one round is the median of so many.
_CALLS = 3


def hold_contest(open_contest: OpenContest, bed: Bed, names: Sequence[str]) -> Rounds:
    """Measure the contestants of these names in turn; one that fails is out, and the reason is said."""
    figures: dict[str, list[Figures]] = {name: [] for name in names}
    with ExitStack() as stack:
        contestants = open_contest(bed, stack)
        for name in order_rounds(names, bed.scale.rounds):
            if name not in figures:
                continue
            try:
                figures[name].append(contestants[name]())
            except (StackError, OSError) as error:
                console.warn(f"{name} could not be measured: {error}")
                del figures[name]
    return figures


def repeat(measure: Callable[[], float]) -> Figures:
    """Measure something quick several times; return the median of its seconds."""
    return {"time": median(measure() for _ in range(_CALLS))}
