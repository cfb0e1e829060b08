"""The devices' page: who is connected, what each topic said last, and devices that are only simulated."""

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.data import Data
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.pages.data import chart_address
from stack.dashboard.services import Services, services_of
from stack.errors import StackError
from stack.plan.recorder import name_series
from stack.rabbitmq.simulator import FASTEST, MOST_SENSORS, SLOWEST, SimulationRequest
from stack.victoriametrics.client import write_selector

# Values of a day's readings from which on they are drawn, instead of those of the last minutes.
_LEAST = 4
_LIMITS = {"sensors": MOST_SENSORS, "slowest": SLOWEST, "fastest": FASTEST}


def _describe(services: Services, _: str, known: Known) -> dict[str, Any]:
    devices = known["devices"] or {}
    connections = sorted(devices.get("connections", ()), key=_place)
    topics = devices.get("topics", {})
    data = services.data()
    charts = {name: _find_chart(data, one) for name, one in topics.items()} if data.is_kept else {}
    days = {
        name: values for name, values in (known["readings"] or {}).items() if len(values) - values.count(None) >= _LEAST
    }
    found = {"topics": topics, "charts": charts, "days": days, "connections": connections}
    return {"devices": known["devices"], **found}


def _find_chart(data: Data, topic: Mapping[str, Any]) -> str:
    """Return where the chart of what is kept of a topic is; nothing if none of it is."""
    series = name_series(data, topic["exchange"], key=topic["key"], headers={"sensor": topic["sensor"]})
    queries = [write_selector(metric, labels) for metric, labels in series]
    return chart_address(queries) if queries else ""


def _place(connection: Mapping[str, Any]) -> tuple[bool, str]:
    """Order connections: those that are there first, each by what it is called."""
    name = connection["client"] or connection["function"] or connection["peer"]
    return not connection["connected"], name.lower()


def _describe_simulator(services: Services, _: str, _known: Known) -> dict[str, Any]:
    return {"simulator": {"protocol": "", "sensors": 0, "rate": 0} | services.simulator.describe(), "limits": _LIMITS}


TABLES = Fragment("device-tables", "_devices.html", ("devices", "readings"), _describe)
SIMULATOR = Fragment("simulator-form", "_simulator.html", ("simulator",), _describe_simulator)


def routes() -> list[BaseRoute]:
    """Return the routes of the page and of its simulator."""
    return [
        Route("/devices", show_devices),
        Route("/devices/simulator", start_simulator, methods=["POST"]),
        Route("/devices/simulator/stop", stop_simulator, methods=["POST"]),
    ]


async def show_devices(request: Request) -> Response:
    """Show the page."""
    settings = services_of(request).stack().settings
    return render(request, "devices.html", ports=settings.ports, **await look(request, TABLES.name, SIMULATOR.name))


async def start_simulator(request: Request) -> Response:
    """Have devices simulated as the form says."""
    services = services_of(request)
    async with request.form() as form:
        protocol, sensors, rate = (str(form.get(name, "")) for name in ("protocol", "sensors", "rate"))
    try:
        await run_in_threadpool(services.simulator.start, _read_wanted(protocol, sensors, rate=rate))
    except StackError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    return _tell(request)


async def stop_simulator(request: Request) -> Response:
    """Stop the simulated devices."""
    await run_in_threadpool(services_of(request).simulator.stop)
    return _tell(request)


def _tell(request: Request) -> Response:
    """Have every page told how the simulator is."""
    services_of(request).broadcaster.touch("simulator")
    return Response()


def _read_wanted(protocol: str, sensors: str, *, rate: str) -> SimulationRequest:
    try:
        return SimulationRequest(protocol, int(sensors), float(rate))
    except ValueError:
        raise StackError("Sensors and rate: should be numbers.") from None
