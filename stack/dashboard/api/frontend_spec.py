"""GET /api/frontend_spec: what a user interface of Nuclio's has to know of its server."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.api.external_ip_addresses import find_addresses
from stack.dashboard.desk import desk_of

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


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/frontend_spec", _tell, methods=["GET"])]


async def _tell(request: Request) -> Response:
    stack = await run_in_threadpool(desk_of(request).stack)
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
