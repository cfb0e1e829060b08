"""Docker Swarm: what it is told, and what is refused because it cannot do it."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.allow import Allow
from stack.config.broker import Broker
from stack.config.document import parse_model
from stack.config.environment import SecretRef
from stack.config.network import Tls
from stack.config.settings import Dashboard, ImageSource, Implementation, Settings
from stack.config.swarm import Swarm
from stack.errors import ConfigError
from stack.plan.function import plan_function
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.render import render
from stack.plan.secret import Mount
from stack.plan.stack import Service, find_definitions, plan_service
from stack.plan.swarm import check_function, check_swarm, list_constraints, name_secret, select_services
from stack.plan.tls import ServerCertificate
from tests.unit.plan.samples import GUEST_ACCOUNTS, make_function, make_plan, make_vault

SETTINGS = Settings(engine="swarm")
HERE = "node.labels.io.tidegate.workspace.tidegate == true"


def make_service(name: str = "thermo", *, settings: Settings = SETTINGS, **spec: Any) -> Service:
    plan = plan_function(make_function(name, **spec), settings)
    return plan_service(plan, settings, image=f"{name}:1", vault=make_vault(), is_deployed=True)


def make_inputs(settings: Settings = SETTINGS, *services: Service) -> Inputs:
    images = BaseImages(ImageSource.DEBIAN, Archive("trixie", ()), processor_digest="0")
    return Inputs(settings, images, GUEST_ACCOUNTS, services=services)


def render_swarm(*services: Service) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render(make_inputs(SETTINGS, *services))["swarm.yaml"])
    return document


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Settings(dashboard=Dashboard(implementation=Implementation.NUCLIO)), "dashboard.implementation"),
        (Settings(project="p" * 30), "at most 29 characters"),
        (Settings(allow=Allow(devices=("/dev/ttyUSB0",))), "allow.devices"),
        (Settings(bind=IPv4Address("0.0.0.0"), plaintext=True, tls=Tls(names=("a.local",))), "tls.names: a.local"),
        (Settings(bind=IPv4Address("0.0.0.0"), tls=Tls(enabled=True)), "cannot be kept"),
    ],
)
def test_what_swarm_cannot_do_is_refused(settings: Settings, problem: str) -> None:
    check_swarm(make_inputs(settings))
    with pytest.raises(ConfigError, match=problem):
        check_swarm(make_inputs(settings.model_copy(update={"engine": "swarm"})))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"securityContext": {"fsGroup": 5}}, "fsGroup"),
        ({"devices": ["/dev/ttyUSB0:/dev/ttyUSB0"]}, "no devices"),
        ({"nodeSelector": {"plant.example/line": "3"}}, "plant.example/line: 3"),
    ],
)
def test_function_that_swarm_cannot_run_is_refused(spec: dict[str, Any], problem: str) -> None:
    plan = make_plan(**spec)
    check_function(plan, Settings())
    with pytest.raises(ConfigError, match=problem):
        check_function(plan, SETTINGS)


@pytest.mark.parametrize("name", ["a.b", "n" * 46])
def test_function_whose_name_swarm_does_not_take_is_refused(name: str) -> None:
    check_function(make_plan("n" * 45), SETTINGS)
    with pytest.raises(ConfigError, match="at most 45 characters"):
        check_function(make_plan(name), SETTINGS)


def test_function_is_placed_by_its_node_selector() -> None:
    service = make_service(nodeSelector={"kubernetes.io/arch": "arm64", "line": "3"})
    assert list_constraints(service, HERE) == ["node.platform.arch == aarch64", "node.labels.line == 3"]


def test_function_with_a_volume_stays_with_it() -> None:
    volume = {
        "volume": {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
        "volumeMount": {"name": "kept", "mountPath": "/kept"},
    }
    assert list_constraints(make_service(volumes=[volume]), HERE) == [HERE]
    assert list_constraints(make_service(), HERE) == []


def test_secret_of_swarm_is_another_with_another_content() -> None:
    mount = Mount(SecretRef("api", "token"), "/run/secrets/api.token")
    service = make_service()
    names = {name_secret(one, mount) for one in (service, replace(service, secrets_digest="1"), make_service("other"))}
    assert len(names) == 3
    assert all(len(f"{'p' * 29}_{one}") <= 64 for one in names)


def test_function_is_given_the_time_that_it_may_take_to_be_ready() -> None:
    services = (make_service(), make_service(readinessTimeoutSeconds=300))
    checks = [render_swarm(one)["services"]["function-thermo"]["healthcheck"]["start_period"] for one in services]
    assert checks == ["120s", "300s"]


def test_names_have_room_beside_the_longest_name_of_a_project() -> None:
    document = render_swarm()
    names = [*document["services"], *document["configs"], *document["secrets"]]
    assert max(len(f"{'p' * 29}_{one}") for one in names) <= 63


def test_function_with_a_port_of_the_machine_makes_way_for_the_next() -> None:
    """Two cannot have it, and Swarm would wait for ever."""
    http = {"web": {"kind": "http", "attributes": {"port": 31000}}}
    services = render_swarm(make_service("fixed", triggers=http), make_service())["services"]
    assert services["function-fixed"]["deploy"]["update_config"]["order"] == "stop-first"
    assert services["function-thermo"]["deploy"]["update_config"]["order"] == "start-first"


def test_how_many_containers_there_are_is_no_part_of_a_definition() -> None:
    one, three = (render(make_inputs(SETTINGS, make_service(replicas=count)))["swarm.yaml"] for count in (1, 3))
    assert one != three
    assert find_definitions(one)["function-thermo"] == find_definitions(three)["function-thermo"]


def test_some_services_are_deployed_with_what_they_need_alone() -> None:
    document = render_swarm(make_service(), make_service("other"))
    image = document["services"]["function-thermo"]["image"]
    chosen = select_services(document, {"function-thermo": 3}, images={image: "sha256:1"}, folder=Path("/srv/.stack"))
    service = chosen["services"]["function-thermo"]
    assert set(chosen["services"]) == {"function-thermo"}
    assert (service["image"], service["deploy"]["replicas"]) == ("sha256:1", 3)
    assert chosen["configs"] == {}
    assert {one["file"] for one in chosen["secrets"].values()} == {
        "/srv/.stack/secrets/mounted/broker.signature-key.thermo"
    }


def test_gateway_on_each_machine_has_no_number_of_containers() -> None:
    document = render_swarm()
    image = document["services"]["gateway"]["image"]
    chosen = select_services(document, {"gateway": 1}, images={image: "sha256:1"}, folder=Path("/"))
    assert "replicas" not in chosen["services"]["gateway"]["deploy"]


def test_networks_of_two_stacks_differ() -> None:
    assert Swarm().find_subnet("a") != Swarm().find_subnet("b")
    given = parse_model(Swarm, {"subnet": "10.200.1.0/24"}, name="stack.yaml")
    assert given.find_subnet("a") == IPv4Network("10.200.1.0/24")
    with pytest.raises(ConfigError, match="room for 60 containers"):
        parse_model(Swarm, {"subnet": "10.200.1.0/30"}, name="stack.yaml")


def test_nodes_that_run_can_be_told_what_is_revoked() -> None:
    """A secret of Swarm never changes, so each keeps the list beside its data."""
    certificate = ServerCertificate(files=(("0a1b2c3d.r0", "1"), ("authority.pem", "1"), ("server.pem", "1")))
    one = SETTINGS.model_copy(update={"tls": Tls(enabled=True)})
    several = one.model_copy(update={"broker": Broker(nodes=3)})
    files = render(replace(make_inputs(several), certificate=certificate))
    targets = [one["target"] for one in yaml.safe_load(files["swarm.yaml"])["services"]["rabbitmq-mqtt-2"]["secrets"]]
    assert {"/etc/tidegate/tls/authority.pem", "/etc/tidegate/tls/server.pem"} <= set(targets)
    assert not any(one.endswith(".r0") for one in targets)
    assert b'{dir, "/var/lib/rabbitmq/revoked"}' in files["rabbitmq/advanced.config"]
    alone = render(replace(make_inputs(one), certificate=certificate))
    assert b'{dir, "/etc/tidegate/tls"}' in alone["rabbitmq/advanced.config"]
