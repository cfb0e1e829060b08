"""GET /api/frontend_spec: what a user interface of Nuclio's has to know of its server."""

import sys
from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import NuclioDocument
from stack.config.settings import Settings
from stack.dashboard.api.request import read_model
from stack.dashboard.services import services_of
from stack.plan.scaffold import render_template
from stack.run.creation import list_patterns
from stack.state.host import find_architecture


class Rendering(NuclioDocument):
    """A template, and the values to put into it."""

    template: str = Field(examples=["metadata:\n  name: {{ .name }}\n"])
    values: dict[str, Any] = Field({}, examples=[{"name": "reader"}])


def _function_templates_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/function_templates", _list, methods=["GET"]),
        Route("/api/function_templates/render", _render, methods=["POST"]),
    ]


async def _list(request: Request) -> Response:
    wanted = request.headers.get("x-nuclio-filter-contains", "")
    patterns = await run_in_threadpool(list_patterns)
    return JSONResponse({one.name: one.describe() for one in patterns if one.contains(wanted)})


async def _render(request: Request) -> Response:
    rendering = await read_model(request, Rendering)
    document = await run_in_threadpool(render_template, rendering.template, rendering.values)
    return JSONResponse({"metadata": document.get("metadata", {}), "spec": document.get("spec", {})})


# MLRun reads it as a semantic version and goes by it; this is the release whose API is offered here.
LABEL = "1.13.0"


def _versions_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/versions", _list_versions, methods=["GET"])]


async def _list_versions(_: Request) -> Response:
    version = {"label": LABEL, "gitCommit": "tidegate", "os": sys.platform, "arch": find_architecture()}
    return JSONResponse({"dashboard": version})


def _namespaces_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/namespaces", _list_namespaces, methods=["GET"])]


async def find_namespace(request: Request) -> str:
    """Return the namespace of whatever there is; which one a client names makes no difference."""
    stack = await run_in_threadpool(services_of(request).stack)
    return stack.settings.namespace


async def _list_namespaces(request: Request) -> Response:
    return JSONResponse({"namespaces": {"names": [await find_namespace(request)]}})


def _v3io_streams_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/v3io_streams", _refuse, methods=["GET", "POST"]),
        Route("/api/v3io_streams/{rest:path}", _refuse, methods=["GET", "POST"]),
    ]


async def _refuse(_: Request) -> Response:
    raise HTTPException(501, "v3io streams are Iguazio's and not supported here; rabbit-mq and mqtt are.")


_LOCAL = "127.0.0.1"


def _external_ip_addresses_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/external_ip_addresses", _list_external_ip_addresses, methods=["GET"])]


def find_addresses(request: Request, settings: Settings) -> list[str]:
    """Return the addresses at which a client finds what the stack publishes.

    Where that is every address of the machine, it is the one that the client itself has called.
    """
    address = settings.get_address("gateway")
    return [request.url.hostname or _LOCAL] if address.is_unspecified else [str(address)]


async def _list_external_ip_addresses(request: Request) -> Response:
    stack = await run_in_threadpool(services_of(request).stack)
    return JSONResponse({"externalIPAddresses": {"addresses": find_addresses(request, stack.settings)}})


_WINDOWS = ["1m", "2m", "5m", "10m", "30m"]
# Name, Kubernetes' kind of metric, and how its target is written.
_METRICS = (
    ("cpu", "Resource", "percentage"),
    ("memory", "Resource", "percentage"),
    ("gpu", "Pods", "percentage"),
    ("nuclio_processor_stream_high_water_mark_processed_lag", "External", "int"),
    ("nuclio_processor_stream_high_water_mark_committed_lag", "External", "int"),
    ("nuclio_processor_worker_pending_allocation_current", "External", "int"),
    ("nuclio_processor_worker_allocation_wait_duration_ms_sum", "External", "int"),
)
_PATIENCE = {"workerAvailabilityTimeoutMilliseconds": 10000}
_HTTP = {**_PATIENCE, "attributes": {"serviceType": "ClusterIP"}}
_DEFAULT_SPEC = {
    "minReplicas": 1,
    "maxReplicas": 1,
    "targetCPU": 75,
    "readinessTimeoutSeconds": 120,
    "resources": {},
    "build": {},
    "platform": {},
    "eventTimeout": "",
    "triggers": {
        "default-http": {"class": "", "kind": "http", "name": "default-http", "numWorkers": 1, **_HTTP},
        "http": {"class": "", "kind": "", "name": "", **_HTTP},
        "cron": {"class": "", "kind": "", "name": "", **_PATIENCE},
    },
}


def _frontend_spec_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/frontend_spec", _tell, methods=["GET"])]


async def _tell(request: Request) -> Response:
    stack = await run_in_threadpool(services_of(request).stack)
    addresses = find_addresses(request, stack.settings)
    return JSONResponse({"externalIPAddresses": addresses, "namespace": stack.settings.namespace, **_describe()})


def _describe() -> dict[str, Any]:
    """Return what is the same in every workspace."""
    metrics = [{"metricName": name, "sourceType": source, "displayType": kind} for name, source, kind in _METRICS]
    return {
        "platformKind": "local",
        "imageNamePrefixTemplate": "",
        "defaultHTTPIngressHostTemplate": "",
        "scaleToZero": {"mode": "disabled", "inactivityWindowPresets": None, "scaleResources": None},
        "allowedAuthenticationModes": None,
        "validFunctionPriorityClassNames": None,
        "defaultFunctionPodResources": {"requests": {}, "limits": {}},
        "disableDefaultHttpTrigger": False,
        "logsScreenEnabled": False,
        "autoScaleMetrics": {
            "customMetricsEnabled": False,
            "metricPresets": metrics,
            "windowSizePresets": _WINDOWS,
        },
        "defaultFunctionConfig": {"attributes": {"metadata": {}, "spec": _DEFAULT_SPEC}},
    }


_CHANGES = ["POST", "PUT", "DELETE"]
_WHY = "API gateways are Kubernetes' and not supported on Docker; every HTTP function answers at the stack's gateway."


def _api_gateways_routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/api/api_gateways", _list_api_gateways, methods=["GET"]),
        Route("/api/api_gateways/{name}", _find, methods=["GET"]),
        Route("/api/api_gateways", _refuse_api_gateways, methods=_CHANGES),
        Route("/api/api_gateways/{name}", _refuse_api_gateways, methods=_CHANGES),
    ]


async def _list_api_gateways(_: Request) -> Response:
    return JSONResponse({})


async def _find(request: Request) -> Response:
    raise HTTPException(404, f"There is no API gateway {request.path_params['name']}. {_WHY}")


async def _refuse_api_gateways(_: Request) -> Response:
    raise HTTPException(501, _WHY)


def routes() -> list[BaseRoute]:
    """Return the routes of all these resources."""
    return [
        *_frontend_spec_routes(),
        *_function_templates_routes(),
        *_versions_routes(),
        *_namespaces_routes(),
        *_v3io_streams_routes(),
        *_external_ip_addresses_routes(),
        *_api_gateways_routes(),
    ]
