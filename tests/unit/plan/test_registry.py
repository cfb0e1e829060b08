"""The registry of a Swarm's images, as a stack of its own."""

import re

import yaml

from stack.config.settings import Settings
from stack.plan.registry import RegistryPlan, find_prefix, render_registry

PLAN = RegistryPlan("id1", "10.77.0.11", "sha256:aa", "sha256:bb", "/w/.stack/secrets/tls/node.pem", "0123abcd")


def test_the_registry_is_kept_on_one_node_and_the_way_to_it_is_on_each() -> None:
    files = render_registry(PLAN, Settings(project="plant"))
    services = yaml.safe_load(files["stack.yaml"])["services"]
    assert services["registry"]["deploy"]["placement"] == {"constraints": ["node.id == id1"]}
    assert services["registry-forwarder"]["deploy"]["mode"] == "global"
    assert services["registry-forwarder"]["networks"] == ["host"]
    assert "ports" not in services["registry-forwarder"]


def test_only_the_node_itself_is_led_there() -> None:
    text = render_registry(PLAN, Settings())["haproxy.cfg"].decode()
    assert re.findall(r"bind (\S+)", text) == ["127.0.0.1:5000"]
    assert "server registry 10.77.0.11:5001 ssl" in text
    assert "verify required" in text


def test_the_registry_asks_for_the_certificate_of_nodes() -> None:
    tls = yaml.safe_load(render_registry(PLAN, Settings())["config.yml"])["http"]["tls"]
    assert tls["clientcas"] == ["/run/secrets/node.pem"]


def test_what_changes_has_another_name_since_swarm_changes_none() -> None:
    def name(plan: RegistryPlan) -> list[str]:
        document = yaml.safe_load(render_registry(plan, Settings())["stack.yaml"])
        return [one["name"] for one in (*document["configs"].values(), *document["secrets"].values())]

    first, moved = name(PLAN), name(RegistryPlan("id2", "10.77.0.12", "a", "b", PLAN.pair_file, PLAN.version))
    assert (first[0], first[2]) == (moved[0], moved[2])
    assert first[1] != moved[1]
    assert "0123abcd" in first[2]


def test_another_stack_of_the_swarm_has_other_ports() -> None:
    settings = Settings.model_validate({"swarm": {"registry": 5002}})
    files = render_registry(PLAN, settings)
    assert b"bind 127.0.0.1:5002" in files["haproxy.cfg"]
    assert b"addr: :5003" in files["config.yml"]
    assert find_prefix(settings) == "localhost:5002"
