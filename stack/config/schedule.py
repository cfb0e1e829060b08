"""Schedules of cron triggers, read as the processor reads them."""

from collections.abc import Iterator

from stack.config.problem import Problem
from stack.processor.source.cron.schedule import parse_schedule

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
