"""Grafana: what it finds when it starts, and who may come in."""

import json
from ipaddress import IPv4Address
from itertools import combinations
from typing import Any

import pytest
import yaml

from stack.config.data import Data, KeepRule
from stack.config.settings import Dashboard, ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.grafana import check_grafana, grafana_environment, list_queries, login_files, render_grafana
from stack.plan.image import Archive, BaseImages
from stack.plan.store import derive_password
from tests.unit.plan.samples import KEY

DATA = Data(keep=(KeepRule(topic="#"),), grafana=True)
SETTINGS = Settings(data=DATA)
REGISTRY, PACKAGES = (BaseImages(one, Archive("trixie", ())) for one in (ImageSource.REGISTRY, ImageSource.DEBIAN))


def load_dashboards() -> list[Any]:
    return [json.loads(file) for path, file in render_grafana(SETTINGS).items() if path.endswith(".json")]


def test_grafana_needs_a_registry_and_a_store() -> None:
    check_grafana(SETTINGS, REGISTRY)
    check_grafana(Settings(), PACKAGES)
    with pytest.raises(ConfigError, match=r"no package of Grafana. Have it pulled, `images: \{source: registry\}`"):
        check_grafana(SETTINGS, PACKAGES)
    with pytest.raises(ConfigError, match="nothing is kept"):
        check_grafana(Settings(data=Data(grafana=True)), REGISTRY)


def test_login_is_asked_for_where_the_dashboard_asks() -> None:
    local = grafana_environment(SETTINGS)
    assert local["GF_AUTH_ANONYMOUS_ENABLED"] == "true" and local["GF_SERVER_ENFORCE_DOMAIN"] == "true"
    reachable = Settings(data=DATA, bind=IPv4Address("0.0.0.0"))
    for settings in (reachable, Settings(data=DATA, dashboard=Dashboard(login="always"))):
        environment = grafana_environment(settings)
        assert not any("ANONYMOUS" in name for name in environment)
        assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/etc/tidegate/grafana-login/password"


def test_passwords_are_in_files_of_their_own() -> None:
    files = login_files(KEY)
    assert files["store-password"] == derive_password(KEY).encode() != files["password"]
    source = yaml.safe_load(render_grafana(SETTINGS)["grafana/provisioning/datasources/tidegate.yaml"])
    (one,) = source["datasources"]
    assert one["secureJsonData"]["basicAuthPassword"] == "$__file{/etc/tidegate/grafana-login/store-password}"


def test_dashboards_have_what_grafana_asks_of_one() -> None:
    for dashboard in load_dashboards():
        panels = dashboard["panels"]
        assert {one["id"] for one in panels} == set(range(1, len(panels) + 1))
        assert {one["uid"] for panel in panels for one in (panel["datasource"], *_sources(panel))} == {"tidegate"}
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
        for one, other in combinations(panels, 2):
            assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _sources(panel: Any) -> list[Any]:
    return [target["datasource"] for target in panel["targets"]]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_queries_leave_the_stacks_own_figures_out_of_readings() -> None:
    readings, *_ = list_queries(SETTINGS)
    assert 'job!~"tidegate-.+"' in readings and "$metric" in readings
