"""What a scaler is to look at: Nuclio's scaleToZero and autoScaleMetrics, and Tidegate's own annotations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stack.config.document import Ignored, NuclioDocument
from stack.config.problem import Problem, refuse
from stack.config.value import Duration
from stack.contract import parse_duration

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


def find_bounds(replicas: int | None, fewest: int | None, *, most: int | None) -> Bounds:
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


PREFIX = "tidegate.io/"
# What the annotations give a target to.
QUEUE_LENGTH, MESSAGE_RATE, REQUESTS, COOL_DOWN = "queue-length", "message-rate", "requests", "cool-down"
TARGETS = (QUEUE_LENGTH, MESSAGE_RATE, REQUESTS, COOL_DOWN)
# Metrics of KEDA's rabbitmq scaler and of Nuclio, in lower case, and the target that means the same here.
_EVENTS = "nuclio_processor_handled_events_total"
_MEANINGS = {
    QUEUE_LENGTH: QUEUE_LENGTH,
    "queuelength": QUEUE_LENGTH,
    "nuclio_processor_stream_high_water_mark_processed_lag": QUEUE_LENGTH,
    "nuclio_processor_stream_high_water_mark_committed_lag": QUEUE_LENGTH,
    MESSAGE_RATE: MESSAGE_RATE,
    "messagerate": MESSAGE_RATE,
    _EVENTS: MESSAGE_RATE,
    REQUESTS: REQUESTS,
    "nuclio_processor_worker_pending_allocation_current": REQUESTS,
}
# What says that a function has nothing to do.
_SIGNS_OF_LIFE = ("", _EVENTS)


class ScaleResource(NuclioDocument):
    """A metric that, while it stays low for a while, tells that a function has nothing to do."""

    metric_name: str = ""
    """nuclio_processor_handled_events_total, or nothing; others are not looked at."""
    window_size: Duration = ""
    """How long nothing may come before the last container goes, such as 5m."""
    threshold: Annotated[int, Ignored("has no effect: the last container goes when nothing at all came")] = 0


class ScaleToZero(NuclioDocument):
    """When a function with minReplicas 0 has no container."""

    scale_resources: list[ScaleResource] = []

    @property
    def window(self) -> float | None:
        """Return the seconds without an event after which the last container goes, if they are given."""
        given = [one.window_size for one in self.scale_resources if one.metric_name.lower() in _SIGNS_OF_LIFE]
        return max((parse_duration(size) for size in given if size), default=None)


class AutoScaleMetric(NuclioDocument):
    """A metric of which one container is to carry so much, its threshold."""

    metric_name: str = Field(min_length=1)
    """queue-length, message-rate, requests, or a name of Nuclio's or KEDA's that means one of them."""
    kind: str = ""
    """Where Kubernetes would look for it, such as Pods."""
    source_type: str = ""
    """Taken as Kubernetes knows it."""
    target_type: str = ""
    """Taken as Kubernetes knows it."""
    display_name: str = ""
    """Its name for people."""
    threshold: int = Field(gt=0)
    """How much one container is to carry."""
    window_size: Annotated[Duration, Ignored("has no effect: what there is at the moment counts")] = ""

    @model_validator(mode="after")
    def _has_kind(self) -> Self:
        refuse(self, [] if self.kind or self.source_type else [Problem(("kind",), "is required, such as Pods")])
        return self

    @property
    def target(self) -> str:
        """Return which target the threshold is; nothing if the scaler cannot see such a metric."""
        return _MEANINGS.get(self.metric_name.lower(), "")


def read_target(annotations: Mapping[str, str], name: str) -> float | None:
    """Return the target that an annotation gives.

    Raises:
        ValueError: it is no number above 0.
    """
    text = annotations.get(PREFIX + name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{PREFIX}{name} should be a number above 0, not {text!r}")
    return value


def find_unheeded(scale_to_zero: ScaleToZero, metrics: list[AutoScaleMetric], *, bounds: Bounds) -> Iterator[str]:
    """Yield a line for each setting of a scaler that has no effect."""
    if scale_to_zero.scale_resources and (bounds.fewest or not bounds.most):
        yield "spec.scaleToZero has no effect without minReplicas 0"
    if metrics and bounds.fewest == bounds.most:
        yield "spec.autoScaleMetrics has no effect without a maxReplicas above minReplicas"
        return
    for number, metric in enumerate(metrics):
        if not metric.target:
            yield (
                f"spec.autoScaleMetrics.{number} has no effect: the scaler does not see {metric.metric_name}; "
                f"it sees {QUEUE_LENGTH}, {MESSAGE_RATE} and {REQUESTS}"
            )
    for number, resource in enumerate(scale_to_zero.scale_resources):
        if resource.metric_name.lower() not in _SIGNS_OF_LIFE:
            yield f"spec.scaleToZero.scaleResources.{number} has no effect: only {_EVENTS} is looked at"
