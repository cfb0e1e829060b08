"""Where pages lead that have a port of their own, for browsers that came by TLS or without."""

import pytest
from starlette.datastructures import URL

from stack.config.settings import Settings
from stack.dashboard.pages.broker import find_management
from stack.dashboard.pages.data import find_grafana

TLS = {"tls": {"enabled": True}}


@pytest.mark.parametrize(
    ("more", "page", "management", "grafana"),
    [
        ({}, "http://plant:8070/broker", "http://plant:9000/", "http://plant:8300/"),
        # A proxy of the user's own has TLS.
        ({}, "https://plant/broker", "http://plant:9000/", "http://plant:8300/"),
        (TLS, "http://localhost:8070/broker", "http://localhost:9000/", "http://localhost:8300/"),
        (TLS, "https://plant:8443/broker", "https://plant:9443/", ""),
        (
            TLS | {"bind": {"grafana": "0.0.0.0"}, "plaintext": True},
            "https://plant:8443/broker",
            "https://plant:9443/",
            "http://plant:8300/",
        ),
    ],
)
def test_they_lead_to_ports_that_a_browser_reaches(
    more: dict[str, object], page: str, management: str, grafana: str
) -> None:
    settings = Settings.model_validate({"data": {"grafana": True}, "images": {"source": "registry"}, **more})
    assert find_management(settings, URL(page)) == management
    assert find_grafana(settings, URL(page)) == grafana
