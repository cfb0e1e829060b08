"""What people do about alerts that fire: acknowledge them, have no one told for a while, or again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from pydantic import Field, Json, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.alertmanager.client import Alertmanager, find_alertmanager
from stack.config.document import Document, parse_model
from stack.contract import parse_duration
from stack.dashboard.page import render
from stack.dashboard.pages.function import add_toast, author_of, read_form
from stack.dashboard.services import Services, services_of
from stack.errors import AlertError
from stack.live.alerts import TOPIC
from stack.run.alert import ACKNOWLEDGE, DURATIONS

_ONE = "one"
# What is offered; anything else can be typed.
_OFFERED = ("30m", "1h", "2h", "8h", "24h", "168h")
_LONGEST = timedelta(days=366)


class Subject(Document):
    """What is to be done, and of which alert."""

    action: Literal["silence", "acknowledge"]
    name: str = Field(min_length=1)
    labels: Json[dict[str, str]] = Field(default_factory=dict)


class Silencing(Subject):
    """For how long no one is told of it, or of all that have its name, and why."""

    of: Literal["one", "all"] = "one"
    duration: str
    comment: str = Field("", max_length=500)

    @field_validator("duration")
    @classmethod
    def _is_time(cls, value: str) -> str:
        seconds = parse_duration(value.strip())
        if not 0 < seconds <= _LONGEST.total_seconds():
            raise ValueError(f"should be such as 30m or 2h, of a year at most, not {value!r}")
        return value.strip()


def routes() -> list[BaseRoute]:
    """Return the routes of what is done."""
    return [
        Route("/alerts/silence", ask_to_silence),
        Route("/alerts/silence", silence, methods=["POST"]),
        Route("/alerts/silences/{id}/end", end_silence, methods=["POST"]),
    ]


async def ask_to_silence(request: Request) -> Response:
    """Show the form that asks for how long, and why."""
    subject = parse_model(Subject, dict(request.query_params), name="address")
    duration = DURATIONS[subject.action]
    return render(request, "_silence.html", subject=subject, duration=duration, offered=_OFFERED)


async def silence(request: Request) -> Response:
    """Have no one told of an alert, or of all of its name, for a time."""
    wanted = await read_form(request, Silencing)
    labels = {"alertname": wanted.name, **(wanted.labels if wanted.of == _ONE else {})}
    comment = wanted.comment.strip() or ("acknowledged" if wanted.action == ACKNOWLEDGE else "silenced")
    await _do(
        request,
        lambda found: found.add_silence(
            labels, parse_duration(wanted.duration), by=author_of(request), comment=comment
        ),
    )
    text = f"{wanted.name} is acknowledged." if wanted.action == ACKNOWLEDGE else f"{wanted.name} is silent."
    return add_toast(Response(), text, level="ok")


async def end_silence(request: Request) -> Response:
    """Have people told again."""
    id_ = request.path_params["id"]

    def end(alertmanager: Alertmanager) -> None:
        found = next((one for one in alertmanager.list_silences() if one.id == id_), None)
        if found is None:
            raise AlertError("That silence is over already.")
        alertmanager.end_silence(found)

    await _do(request, end)
    return add_toast(Response(), "People are told again.", level="ok")


async def _do(request: Request, act: Callable[[Alertmanager], object]) -> None:
    """Ask Alertmanager for something, and have every page told."""
    services = services_of(request)
    await run_in_threadpool(lambda: act(_find(services)))
    services.broadcaster.touch(TOPIC)


def _find(services: Services) -> Alertmanager:
    return find_alertmanager(services.stack())
