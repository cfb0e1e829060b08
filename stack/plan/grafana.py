"""Grafana beside the store: its data source, two dashboards, and who may come in."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stack.config.environment import SecretContent
from stack.config.settings import FILE, Settings
from stack.errors import ConfigError
from stack.plan.account import derive
from stack.plan.image import BaseImages, digest
from stack.plan.store import OWN_JOBS, READINGS, USERNAME, derive_password
from stack.plan.store import PORT as STORE_PORT
from stack.plan.store import SERVICE as STORE
from stack.plan.template import write_yaml

SERVICE = "grafana"
PORT = 3000
VOLUME = "grafana-data"
MEMORY = 512 * 1024**2
# What it reads, and its passwords: below .stack/, and where the container sees them.
MOUNTED, FOLDER = "grafana", "/etc/tidegate/grafana"
LOGIN_MOUNTED, LOGIN_FOLDER = "secrets/grafana", "/etc/tidegate/grafana-login"
_PASSWORD, _STORE_PASSWORD = "password", "store-password"
_USER, _LABEL = "admin", b"grafana"
_SOURCE = {"type": "prometheus", "uid": "tidegate"}
# Grafana's version of the form of a dashboard, and the columns of one.
_SCHEMA, _COLUMNS = 39, 24
_HEIGHT = 8


def check_grafana(settings: Settings, base_images: BaseImages) -> None:
    """Refuse Grafana where there is nothing to make it of, or to show.

    Raises:
        ConfigError: no registry is used, or there is no store.
    """
    if not settings.data.grafana:
        return
    if not settings.has_store:
        raise ConfigError(
            [f'{FILE}: data.grafana: nothing is kept that it could show. Add data.keep: [{{topic: "#"}}].']
        )
    if not base_images.is_registry:
        way = "Have it pulled, `images: {source: registry}`, or go without: the dashboard's page Data has charts, too."
        raise ConfigError([f"{FILE}: data.grafana: this system has no package of Grafana. {way}"])


def login_files(key: SecretContent) -> Mapping[str, bytes]:
    """Return the files of LOGIN_FOLDER, by name: the password of its user, and of the store's."""
    return {
        _PASSWORD: derive(key, _LABEL, name=_PASSWORD).hex().encode(),
        _STORE_PASSWORD: derive_password(key).encode(),
    }


def grafana_environment(settings: Settings) -> dict[str, str]:
    """Return Grafana's settings: who may come in is as with the dashboard."""
    found = {
        "GF_SECURITY_ADMIN_USER": _USER,
        "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{LOGIN_FOLDER}/{_PASSWORD}",
        "GF_PATHS_PROVISIONING": f"{FOLDER}/provisioning",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{FOLDER}/dashboards/readings.json",
        # It tells and fetches nothing.
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    if settings.has_dashboard_login:
        return found
    # Who asks by another name than this may be another site's page, whose name leads here.
    address = {"GF_SERVER_DOMAIN": "localhost", "GF_SERVER_ENFORCE_DOMAIN": "true"}
    address |= {"GF_SERVER_ROOT_URL": f"http://localhost:{settings.ports.grafana}/"}
    anyone = {"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Admin"}
    return found | anyone | {"GF_AUTH_DISABLE_LOGIN_FORM": "true"} | address


def render_grafana(settings: Settings) -> dict[str, bytes]:
    """Render what Grafana finds when it starts."""
    dashboards = {"readings": _describe_readings(), "stack": _describe_stack()}
    files = {f"{MOUNTED}/dashboards/{name}.json": _write(one) for name, one in dashboards.items()}
    provisioning = {"datasources": _describe_source(settings), "dashboards": _describe_provider()}
    return files | {
        f"{MOUNTED}/provisioning/{name}/tidegate.yaml": write_yaml(one) for name, one in provisioning.items()
    }


def grafana_digest(settings: Settings) -> str:
    """Return a digest of what Grafana has to be started again for when it changes."""
    return digest(list(render_grafana(settings).values()))


def list_queries(settings: Settings) -> list[str]:
    """Return what the panels ask the store."""
    dashboards = [json.loads(file) for path, file in render_grafana(settings).items() if path.endswith(".json")]
    return [one["expr"] for dashboard in dashboards for panel in dashboard["panels"] for one in panel["targets"]]


def _write(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def _describe_source(settings: Settings) -> dict[str, Any]:
    source = {
        "name": "Tidegate",
        **_SOURCE,
        "access": "proxy",
        "url": f"http://{STORE}:{STORE_PORT}",
        "basicAuth": True,
        "basicAuthUser": USERNAME,
        "isDefault": True,
        "jsonData": {"httpMethod": "POST", "timeInterval": f"{settings.data.scrape_seconds or 15:g}s"},
        "secureJsonData": {"basicAuthPassword": f"$__file{{{LOGIN_FOLDER}/{_STORE_PASSWORD}}}"},
    }
    return {"apiVersion": 1, "datasources": [source]}


def _describe_provider() -> dict[str, Any]:
    provider = {"name": "Tidegate", "type": "file", "options": {"path": f"{FOLDER}/dashboards"}}
    return {"apiVersion": 1, "providers": [provider]}


def _describe_readings() -> dict[str, Any]:
    variable = {
        "name": "metric",
        "label": "Metric",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({READINGS}, __name__)", "refId": "metric"},
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }
    chosen = f'{{__name__=~"$metric",job!~"{OWN_JOBS}.+"}}'
    panels = [
        _describe_panel(
            "Readings", {"": f"avg_over_time({chosen}[$__interval]) keep_metric_names"}, width=24, height=16
        ),
        _describe_panel("Last values", {"": f"last_over_time({chosen}[1d])"}, kind="bargauge", width=24, instant=True),
    ]
    return _describe_dashboard("Readings", panels, variables=[variable])


def _describe_stack() -> dict[str, Any]:
    own = "nuclio_processor_"
    interval, failed = "[$__rate_interval]", '{result="failure"}'
    rates = {
        "Events a second": f"sum(rate({own}handled_events_total{interval})) by (function)",
        "Failures a second": f"sum(rate({own}handled_events_total{failed}{interval})) by (function)",
        "Retries a second": f"sum(rate({own}retried_events_total{interval})) by (function)",
        "Dead letters": f"sum(increase({own}dead_lettered_events_total[1h])) by (function)",
        "Processors at work": f"sum(rate({own}cpu_seconds_total{interval})) by (function)",
        "In flight": f"sum({own}events_in_flight) by (function)",
    }
    buckets = f"sum(rate({own}handled_events_duration_seconds_bucket[$__rate_interval])) by (function, le)"
    requests = 'sum(rate(haproxy_backend_http_requests_total{proxy=~"function-.*"}[$__rate_interval])) by (proxy)'
    errors = 'sum(rate(haproxy_backend_http_responses_total{code="5xx"}[$__rate_interval])) by (proxy)'
    panels = [
        *(_describe_panel(title, {"{{function}}": query}) for title, query in rates.items()),
        _describe_panel("Duration, p99", {"{{function}}": f"histogram_quantile(0.99, {buckets})"}, unit="s"),
        _describe_panel("Memory", {"{{function}}": f"sum({own}memory_bytes) by (function)"}, unit="bytes"),
        _describe_panel("Messages that wait", {"{{queue}}": "sum(rabbitmq_detailed_queue_messages) by (queue)"}),
        _describe_panel("Consumers", {"{{queue}}": "sum(rabbitmq_detailed_queue_consumers) by (queue)"}),
        _describe_panel("Requests a second", {"{{proxy}}": requests, "{{proxy}}, failed": errors}),
        _describe_panel("The broker's memory", {"memory": "rabbitmq_process_resident_memory_bytes"}, unit="bytes"),
        _describe_panel("The broker's free disk", {"free": "rabbitmq_disk_space_available_bytes"}, unit="bytes"),
        _describe_panel("Connections to the broker", {"connections": "rabbitmq_connections"}),
    ]
    return _describe_dashboard("Stack", panels)


def _describe_panel(
    title: str,
    queries: Mapping[str, str],
    *,
    kind: str = "timeseries",
    unit: str = "short",
    width: int = 8,
    height: int = _HEIGHT,
    instant: bool = False,
) -> dict[str, Any]:
    """Return a panel, without its place; the queries are by what their lines are called."""
    common = {"datasource": _SOURCE, "instant": instant, "range": not instant}
    targets = [
        {"refId": "ABC"[at], "expr": query, "legendFormat": legend or "__auto", **common}
        for at, (legend, query) in enumerate(queries.items())
    ]
    return {
        "type": kind,
        "title": title,
        "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
        "gridPos": {"w": width, "h": height},
    }


def _describe_dashboard(
    title: str, panels: Sequence[dict[str, Any]], *, variables: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    left = top = height = 0
    for number, panel in enumerate(panels, 1):
        size = panel["gridPos"]
        if left + size["w"] > _COLUMNS:
            left, top = 0, top + height
        height = size["h"]
        panel |= {"id": number, "gridPos": {"x": left, "y": top, **size}}
        left += size["w"]
    return {
        "uid": f"tidegate-{title.lower()}",
        "title": title,
        "tags": ["tidegate"],
        "timezone": "browser",
        "schemaVersion": _SCHEMA,
        "version": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": list(variables)},
        "panels": panels,
    }
