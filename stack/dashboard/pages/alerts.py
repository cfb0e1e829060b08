"""The page of alerts: what fires and what has fired, who was told, and by which channels."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.alertmanager.client import find_alertmanager
from stack.config.notify import Channel
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.pages.data import chart_address
from stack.dashboard.pages.function import add_toast
from stack.dashboard.services import Services, services_of
from stack.errors import DataError, StackError
from stack.live.alerts import TOPIC
from stack.run.alert_file import list_alert_files
from stack.run.notify import test_channel
from stack.victoriametrics.alert_history import Episode, fetch_episodes
from stack.victoriametrics.client import find_store

# Seconds of the links to charts, and of what has fired; and how much of that is shown.
_CHART_SECONDS, _WEEK, _SHOWN = 6 * 3600, 7 * 86400.0, 100


def _describe_firing(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    return {"firing": known[TOPIC], "chart_of": lambda query: chart_address([query], _CHART_SECONDS)}


def _describe_channels(services: Services, _subject: str, known: Known) -> dict[str, Any]:
    channels = services.stack().settings.notify.channels
    rows = [{"name": name, "kind": one.kind, "target": _name_target(one)} for name, one in channels.items()]
    return {"channels": rows, "failing": (known[TOPIC] or {}).get("failing", {})}


def _describe_files(services: Services, _subject: str, known: Known) -> dict[str, Any]:
    settings = services.stack().settings
    return {
        "files": list_alert_files(services.workspace.root),
        "is_kept": settings.data.is_kept,
        "is_about_stack": settings.notify.is_about_stack,
        "rules": (known[TOPIC] or {}).get("rules", {}),
    }


FIRING = Fragment("alerts-firing", "_alerts_firing.html", (TOPIC,), _describe_firing)
FILES = Fragment("alerts-files", "_alerts_files.html", (TOPIC,), _describe_files)
CHANNELS = Fragment("alerts-channels", "_alerts_channels.html", (TOPIC,), _describe_channels)


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route("/alerts", show_alerts),
        Route("/alerts/history", show_history),
        Route("/alerts/channels/{name}/test", try_channel, methods=["POST"]),
    ]


async def show_alerts(request: Request) -> Response:
    """Show the page."""
    services = services_of(request)
    shown = await run_in_threadpool(_describe_page, services)
    return render(request, "alerts.html", **shown, **await look(request, FIRING.name, FILES.name, CHANNELS.name))


async def show_history(request: Request) -> Response:
    """Show what has fired in the last week."""
    try:
        found = await run_in_threadpool(_fetch_history, services_of(request))
    except DataError as error:
        return render(request, "_alerts_history.html", problem=str(error), episodes=())
    return render(request, "_alerts_history.html", problem="", episodes=found[:_SHOWN], count=len(found))


async def try_channel(request: Request) -> Response:
    """Send a test by a channel, and say whether it took it."""
    name, services = request.path_params["name"], services_of(request)
    try:
        await run_in_threadpool(lambda: test_channel(services.stack(), name))
    except StackError as error:
        return add_toast(Response(), str(error), level="error")
    finally:
        services.broadcaster.touch(TOPIC)
    return add_toast(Response(), f"{name} took the message.", level="ok")


def _describe_page(services: Services) -> dict[str, Any]:
    settings = services.stack().settings
    return {"has_store": settings.has_store, "has_channels": bool(settings.notify.channels)}


def _name_target(channel: Channel) -> str:
    """Return where a channel leads to; what may be secret in it is left out."""
    if channel.mail:
        return ", ".join(channel.mail.to)
    if channel.telegram:
        return f"chat {channel.telegram.chat}"
    if channel.webhook and channel.webhook.url:
        parts = urlsplit(channel.webhook.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return f"secret {channel.secret}" if channel.secret else ", ".join(channel.alertmanager)


def _fetch_history(services: Services) -> list[Episode]:
    stack = services.stack()
    try:
        firing: list[Mapping[str, str]] | None = [one.labels for one in find_alertmanager(stack).list_alerts()]
    except StackError:
        # Of what the store says of the last minutes it is not known then whether it is over.
        firing = None
    return fetch_episodes(find_store(stack), _WEEK, firing)
