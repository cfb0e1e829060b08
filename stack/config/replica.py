"""How many containers of a function run at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from stack.config.problem import Problem

# More of one function than a machine would carry.
MOST_REPLICAS = 100


def _check(number: int) -> int:
    if number > MOST_REPLICAS:
        raise ValueError(f"should be at most {MOST_REPLICAS}: one machine carries no more containers of a function")
    return number


Replicas = Annotated[int, Field(ge=0, json_schema_extra={"maximum": MOST_REPLICAS}), AfterValidator(_check)]


@dataclass(frozen=True)
class Bounds:
    """The fewest and the most replicas of a function; between them a scaler decides."""

    fewest: int
    most: int


def find_bounds(replicas: int | None, fewest: int | None, most: int | None) -> Bounds:
    """Return the bounds that `replicas`, `minReplicas` and `maxReplicas` mean.

    As in Nuclio, `replicas` fixes the number, and of the other two the missing one is the same as the one given.
    """
    if replicas is not None:
        return Bounds(replicas, replicas)
    given = [number for number in (fewest, most) if number is not None] or [1]
    return Bounds(given[0], given[-1])


def check_bounds(fewest: int | None, most: int | None) -> Iterator[Problem]:
    """Find bounds that no number satisfies."""
    if most == 0:
        yield Problem(("maxReplicas",), "should be at least 1; `disable: true` stops a function")
    elif fewest == 0 and most is None:
        yield Problem(("maxReplicas",), "is required beside minReplicas 0, as which it is where it is left out")
    elif fewest is not None and most is not None and fewest > most:
        yield Problem(("minReplicas",), f"{fewest} is more than maxReplicas, {most}")
