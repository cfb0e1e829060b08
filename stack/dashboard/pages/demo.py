"""The demo: the temperature example as a live page."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.contract import MQTT_EXCHANGE, to_key
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.pages.data import chart_address
from stack.dashboard.services import Services, services_of
from stack.errors import FunctionError
from stack.plan.device import EXCHANGE, ROUTING_KEY, SendRequest
from stack.plan.device import TOPIC as TOPIC_OF_DEVICES
from stack.plan.recorder import name_series
from stack.victoriametrics.client import write_selector

TOPIC = "demo"


def _describe(services: Services, _: str, known: Known) -> dict[str, Any]:
    return {"demo": known[TOPIC] or services.demo.describe()}


FORM, MESSAGE, STATS, LINES = (
    Fragment(f"demo-{part}", f"_demo_{part}.html", (TOPIC,), _describe)
    for part in ("form", "message", "stats", "lines")
)


def routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [
        Route("/demo", show_demo),
        Route("/demo/start", start_demo, methods=["POST"]),
        Route("/demo/stop", stop_demo, methods=["POST"]),
    ]


async def show_demo(request: Request) -> Response:
    """Show the page."""
    data = services_of(request).data()
    found = [
        *name_series(data, EXCHANGE, key=ROUTING_KEY),
        *name_series(data, MQTT_EXCHANGE, key=to_key(TOPIC_OF_DEVICES)),
    ]
    queries = [write_selector(metric, labels) for metric, labels in found]
    past = chart_address(queries) if queries else ""
    return render(request, "demo.html", past=past, **await look(request, FORM.name))


async def start_demo(request: Request) -> Response:
    """Begin a demo.

    Raises:
        StackError: one is on, or the order makes no sense.
    """
    services = services_of(request)
    form = await request.form()
    try:
        order = SendRequest(
            count=int(str(form.get("count", ""))),
            rate=float(str(form.get("rate", ""))),
            protocol=str(form.get("protocol", "")),
            sensors=int(str(form.get("sensors", ""))),
        )
    except ValueError as error:
        raise FunctionError("Readings, rate and sensors should be numbers.") from error
    services.demo.start(order)
    services.broadcaster.touch(TOPIC)
    return Response(status_code=204)


async def stop_demo(request: Request) -> Response:
    """Have no more readings sent."""
    services_of(request).demo.stop()
    return Response(status_code=204)
