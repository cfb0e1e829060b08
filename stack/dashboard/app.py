"""The application: guards in front, pages and API behind, errors in words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from stack.config.settings import Settings
from stack.dashboard import live
from stack.dashboard.api import device_calls as api_device_calls
from stack.dashboard.api import devices as api_devices
from stack.dashboard.api import (
    function_events,
    functions,
    invocations,
    openapi,
    platform,
    projects,
)
from stack.dashboard.api.request import SlashStripper, join_methods
from stack.dashboard.page import compile_pages, handlers
from stack.dashboard.pages import (
    alert_file,
    alert_silence,
    alerts,
    broker,
    code,
    data,
    dead_letters,
    demo,
    device,
    device_calls,
    device_logins,
    devices,
    function,
    function_list,
    login,
    logs,
    metrics,
    overview,
    phone,
    revisions,
    test,
    triggers,
)
from stack.dashboard.security.auth import PATH, Authenticator, LoginGuard
from stack.dashboard.security.headers import Cors, HostGuard, Policy, find_proxies, machine_names
from stack.dashboard.security.session import CsrfGuard, SessionCookies, Sessions
from stack.dashboard.services import Services
from stack.demo.state import DemoSource, SimulatorSource
from stack.docker.stack import Stack
from stack.errors import ConfigError
from stack.live.alerts import TOPIC, AlertsSource
from stack.live.broadcaster import open_broadcaster
from stack.live.reconciler import Reconciler, keep_up
from stack.run.recovery import clear_stale_containers
from stack.state.access import Access, load_access, load_session_key
from stack.state.tls import load_server_certificate
from stack.state.workspace import PROGRAM, is_inside

_HOUR = 3600
# Below the folder of secrets; no name of a secret of the user's begins with a dot.
_SESSIONS = ".sessions"

_STATIC = PROGRAM / "stack" / "dashboard" / "static"
# Where more work makes files hardly smaller.
_LEVEL = 6

_API = (
    api_device_calls,
    api_devices,
    function_events,
    functions,
    invocations,
    openapi,
    platform,
    projects,
)

_FRAGMENTS = (
    overview.HEALTH,
    overview.OVERVIEW,
    demo.FORM,
    demo.MESSAGE,
    demo.STATS,
    demo.LINES,
    function_list.LIST,
    function.HEAD,
    function.DEPLOY,
    metrics.TOTALS,
    metrics.REPLICAS,
    devices.TABLES,
    devices.SIMULATOR,
    device.PRESENCE,
    device.TWIN,
    broker.STATS,
    broker.TABLES,
    dead_letters.COUNT,
    alerts.FIRING,
    alerts.FILES,
    alerts.CHANNELS,
)


def make_app(services: Services) -> Starlette:
    """Make the application of a workspace.

    Raises:
        ConfigError: other machines can reach it, and no login was made.
    """
    settings = services.stack().settings
    authenticator = Authenticator(_find_access(services, settings))
    seconds = settings.dashboard.session_hours * _HOUR
    sessions = Sessions(services.workspace.secrets / _SESSIONS, seconds)
    proxies = find_proxies(settings.dashboard.proxies, is_inside=is_inside(), has_gateway=settings.tls.is_on)
    served = load_server_certificate(services.workspace).names if settings.tls.is_on else ()
    names = (*machine_names(), *settings.dashboard.hosts, *settings.tls.names, *served)
    app = Starlette(
        routes=_routes(),
        middleware=[
            Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies),
            Middleware(Policy),
            Middleware(HostGuard, names=names),
            Middleware(Cors, origins=settings.dashboard.origins),
            Middleware(
                SessionCookies,
                key=load_session_key(services.workspace),
                name=settings.session_cookie,
                seconds=seconds,
            ),
            Middleware(LoginGuard, authenticator=authenticator, sessions=sessions),
            Middleware(CsrfGuard, login=PATH),
            Middleware(SlashStripper),
        ],
        exception_handlers=handlers(),
        lifespan=_live,
    )
    app.state.services, app.state.authenticator, app.state.sessions = services, authenticator, sessions
    app.state.parts = live.Parts(services, _FRAGMENTS)
    return app


def _routes() -> list[BaseRoute]:
    modules = (
        overview,
        demo,
        login,
        function_list,
        code,
        revisions,
        function,
        dead_letters,
        test,
        triggers,
        logs,
        metrics,
        broker,
        devices,
        device_calls,
        device_logins,
        device,
        phone,
        data,
        alerts,
        alert_silence,
        alert_file,
        live,
    )
    found = [route for module in modules for route in module.routes()]
    return [
        Route("/healthz", _tell_health),
        _mount_files(),
        *found,
        *join_methods(route for module in _API for route in module.routes()),
    ]


def _mount_files() -> Mount:
    """Return what serves the files that pages load, small on their way, and again only as far as they have changed."""
    return Mount("/static", _Files(directory=_STATIC), middleware=[Middleware(GZipMiddleware, compresslevel=_LEVEL)])


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer that browsers have to ask whether what they keep still holds; without that they guess."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _find_access(services: Services, settings: Settings) -> Access | None:
    if not settings.has_dashboard_login:
        return None
    access = load_access(services.workspace)
    if access is None:
        is_open = settings.is_open("dashboard", "https")
        why = settings.describe_bind() if is_open else f"dashboard.login: {settings.dashboard.login}"
        raise ConfigError([f"stack.yaml: {why} needs a login; type `invoke credentials`, then again."])
    return access


async def _tell_health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


@asynccontextmanager
async def _live(app: Starlette) -> AsyncIterator[None]:
    services: Services = app.state.services
    stack = await run_in_threadpool(services.stack)
    catalogue = services.catalogue
    reconciler = Reconciler(
        partial(_find_functions, stack), lambda names: clear_stale_containers(services.stack(), names)
    )
    heard = [lambda _: catalogue.forget_containers(), reconciler.hear]
    async with open_broadcaster(stack, catalogue.records, heard=heard) as services.broadcaster:
        catalogue.is_docker_followed = True
        caring = asyncio.create_task(reconciler.run(), name="relics of deploys")
        keeping = asyncio.create_task(keep_up(stack), name="upkeep of the broker")
        show = partial(services.broadcaster.touch, "functions", "history")
        watching = asyncio.create_task(catalogue.watch(show), name="files of functions")
        compiling = asyncio.create_task(run_in_threadpool(compile_pages), name="templates")
        services.broadcaster.add("simulator", lambda _: SimulatorSource(services.simulator))
        services.broadcaster.add(TOPIC, lambda _: AlertsSource(services.stack))
        services.broadcaster.add(demo.TOPIC, lambda _: DemoSource(services.demo))
        try:
            yield
        finally:
            await run_in_threadpool(services.simulator.stop)
            await services.demo.close()
            await services.jobs.stop()
            watching.cancel()
            caring.cancel()
            keeping.cancel()
            await asyncio.gather(watching, caring, keeping, compiling, return_exceptions=True)


def _find_functions(stack: Stack) -> set[str]:
    """Return the functions that have a container, deployed or not."""
    return {one.function for one in stack.engine.listed() if one.function}
