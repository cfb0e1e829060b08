"""The devices' page: who is connected, what each topic said last, and devices that are only simulated."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.page import render
from stack.dashboard.services import services_of
from stack.errors import StackError
from stack.rabbitmq.simulator import FASTEST, MOST_SENSORS, SLOWEST, SimulationRequest


def routes() -> list[BaseRoute]:
    """Return the routes of the page and of its simulator."""
    return [
        Route("/devices", show_devices),
        Route("/devices/simulator", start_simulator, methods=["POST"]),
        Route("/devices/simulator/stop", stop_simulator, methods=["POST"]),
    ]


async def show_devices(request: Request) -> Response:
    """Show the page; what it tells comes by the stream."""
    settings = services_of(request).stack().settings
    limits = {"sensors": MOST_SENSORS, "slowest": SLOWEST, "fastest": FASTEST}
    return render(request, "devices.html", ports=settings.ports, limits=limits)


async def start_simulator(request: Request) -> Response:
    """Have devices simulated as the form says."""
    services = services_of(request)
    async with request.form() as form:
        protocol, sensors, rate = (str(form.get(name, "")) for name in ("protocol", "sensors", "rate"))
    try:
        await run_in_threadpool(services.simulator.start, _read_wanted(protocol, sensors, rate))
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


def _read_wanted(protocol: str, sensors: str, rate: str) -> SimulationRequest:
    try:
        return SimulationRequest(protocol, int(sensors), float(rate))
    except ValueError:
        raise StackError("Sensors and rate: should be numbers.") from None
