"""Events when they are due."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stack.config.document import Ignored, NuclioDocument
from stack.config.problem import Problem, refuse
from stack.config.trigger.base import NO_BATCHES, BaseTrigger, Batch
from stack.config.value import Duration
from stack.contract import parse_duration
from stack.processor.source.schedule import parse_schedule

_ZONE = "UTC"


def find_mistakes(schedule: str, timezone: str) -> Iterator[Problem]:
    """Yield what the processor would refuse; where no time zone is named, it has that of its container."""
    # Only who has a cron trigger waits for it.
    try:
        parse_schedule("@daily", timezone or _ZONE)
    except ValueError as error:
        yield Problem(("timezone",), str(error))
    try:
        parse_schedule(schedule.strip(), _ZONE)
    except ValueError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        yield Problem(
            ("schedule",), f"should be such as '*/5 * * * *', @hourly or @every 90s, not {schedule!r}: {reason}"
        )


class CronEvent(NuclioDocument):
    """What a cron trigger says each time."""

    body: str = ""
    """The body."""
    headers: dict[str, str | int | float | bool] = {}
    """The headers."""
    path: str = ""
    """The path."""
    method: str = ""
    """The method."""


class CronAttributes(NuclioDocument):
    """Attributes of a cron trigger; an interval wins over a schedule, as in Nuclio."""

    schedule: str = ""
    """Five fields, six with the seconds first, @hourly, or @every 90s."""
    interval: Duration = ""
    """Such as 500ms or 1h30m; wins over the schedule."""
    timezone: str = ""
    """The schedule's time zone, such as Europe/Rome; UTC where left out."""
    event: CronEvent = CronEvent.model_construct()
    """What the handler is given."""
    concurrency_policy: Annotated[str, Ignored("is for Kubernetes; one run at a time here")] = ""
    job_backoff_limit: Annotated[int, Ignored("is for Kubernetes")] = 2

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if self.interval and parse_duration(self.interval):
            return self
        if not self.schedule.strip():
            raise ValueError("needs a schedule, such as '*/5 * * * *', or an interval, such as 10s")
        refuse(self, find_mistakes(self.schedule, self.timezone))
        return self


class CronTrigger(BaseTrigger):
    """The clock."""

    kind: Literal["cron"]
    batch: Annotated[Batch | None, NO_BATCHES] = None
    attributes: CronAttributes = Field(examples=["{schedule: '*/5 * * * *'}"])


MODEL = CronTrigger
