"""stack.yaml: defaults, and every mistake at once."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pydantic import ValidationError

from stack.config.network import SECURE, Ports
from stack.config.settings import FILE, ImageSource, Settings, load_settings
from stack.errors import ConfigError

_GOOD = "10.200.1.0/24, and none of "
KNOWN = ", ".join(sorted(Ports.model_fields))


def load(folder: Path, text: str) -> Settings:
    (folder / FILE).write_text(text)
    return load_settings(folder)


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return list(caught.value.problems)


def test_every_key_is_optional(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()
    assert load(tmp_path, "# nothing\n") == Settings()


def test_defaults_are_those_of_the_tutorial() -> None:
    settings = Settings()
    ports = {"amqp": 5672, "mqtt": 1883, "management": 9000, "metrics": 15692, "gateway": 8080, "dashboard": 8070}
    ports |= {"data": 8428, "grafana": 8300, "mqtts": 8883, "amqps": 5671}
    ports |= {"https": 8443, "gateway_https": 8444, "management_https": 9443}
    assert settings.ports.model_dump() == ports
    assert settings.bind == IPv4Address("127.0.0.1")
    assert settings.images.source is ImageSource.AUTO


def test_settings_are_read(tmp_path: Path) -> None:
    settings = load(tmp_path, "project: plant-2\nbind: 10.0.0.7\nports: {amqp: 7000}\nimages: {source: registry}\n")
    assert (settings.project, settings.ports.amqp, settings.ports.mqtt) == ("plant-2", 7000, 1883)
    assert settings.images.source is ImageSource.REGISTRY
    assert not settings.is_local


@pytest.mark.parametrize(("address", "is_local"), [("127.0.0.1", True), ("127.1.2.3", True), ("0.0.0.0", False)])
def test_local_means_loopback(tmp_path: Path, address: str, is_local: bool) -> None:
    assert load(tmp_path, f"bind: {address}").is_local is is_local


@pytest.mark.parametrize(("bind", "host"), [("127.1.2.3", "127.1.2.3"), ("0.0.0.0", "127.0.0.1")])
def test_this_machine_reaches_the_ports_wherever_they_are_published(tmp_path: Path, bind: str, host: str) -> None:
    assert load(tmp_path, f"bind: {bind}").host == host


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().project = "other"  # type: ignore[misc]


def test_all_mistakes_are_told_with_their_paths(tmp_path: Path) -> None:
    text = "bind: 1.2.3\nports: {amqp: many, mqtt: 99999, foo: 1}\nimages: {source: hub, ca: 5}\nprojct: x\n"
    assert problems_of(tmp_path, text) == [
        "stack.yaml: bind: should be an IPv4 address, not '1.2.3'",
        "stack.yaml: ports.amqp: should be a whole number, not 'many'",
        "stack.yaml: ports.mqtt: should be less than or equal to 65535",
        f"stack.yaml: ports.foo: is not a known key; known here: {KNOWN}",
        "stack.yaml: images.source: should be one of auto, registry, debian, not 'hub'",
        "stack.yaml: images.ca: should be a text, not 5",
        "stack.yaml: projct: is not a known key; did you mean 'project'?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ports: {amqp: 1883}", "stack.yaml: ports: amqp and mqtt are both 1883; give one of them another port"),
        ("ports: [1, 2]", "stack.yaml: ports: should be a mapping of keys to values, not [1, 2]"),
        ("bind: '::1'", "stack.yaml: bind: should be an IPv4 address, not '::1'"),
        ("project: My Plant", "stack.yaml: project: should be lower-case letters, digits, - and _, and start with"),
        ("project: ''", "stack.yaml: project: should be lower-case letters"),
        (f"project: {'x' * 64}", "stack.yaml: project: should have at most 63 letters, not 64"),
        ("ports: {amqp: true}", "stack.yaml: ports.amqp: should be a whole number, not True"),
        (
            "dashboard: {proxies: [x]}",
            "stack.yaml: dashboard.proxies.0: should be an IPv4 network such as 10.0.0.0/8 or",
        ),
        (
            "data: {keep: [{topic: a, value: {json: t}}]}",
            "stack.yaml: data.keep.0.value.json: should be a JSON pointer",
        ),
        ("images: {python: ''}", "stack.yaml: images.python: should be the name of an image, such as "),
        ('images: {node: "x\\nRUN y"}', "stack.yaml: images.node: should be the name of an image, such as "),
        ("images: {haproxy: --flag}", "stack.yaml: images.haproxy: should be the name of an image, such as "),
        ("images: {nuclio: a b}", "stack.yaml: images.nuclio: should be a release, such as 1.13.0, not 'a b'"),
        ("images: {mirror: a b}", "stack.yaml: images.mirror: should be what stands before an image's name, such as "),
        (
            "images: {mirror: 'm.example:5000'}",
            "stack.yaml: images.mirror: should be what stands before an image's name",
        ),
        ("a: 1\n---\nb: 2", "stack.yaml: line 2, column 1: another document begins here; a file holds one, so take"),
        ("- a list", "stack.yaml: should be a mapping of keys to values, not ['a list']"),
        ("project: [", "stack.yaml: line 2, column 1: "),
        ("bind: 127.0.0.1\nbind: 0.0.0.0", "stack.yaml: line 2, column 1: the key 'bind' occurs twice"),
        ("project: {{ name }}", "stack.yaml: line 1, column 11: "),
        ("\x00", "stack.yaml: "),
    ],
)
def test_mistake(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems_of(tmp_path, text)
    assert found.startswith(problem)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match=r"^stack.yaml: cannot be read"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("defaults: {memory: 1MB}", "stack.yaml: defaults.memory: memory should be such as 64Mi or 1G, not '1MB'"),
        ("defaults: {memory: 5Mi}", "stack.yaml: defaults.memory: memory should be at least 6Mi"),
        ("defaults: {pids: 3}", "stack.yaml: defaults.pids:"),
        ("logs: {megabytes: 0}", "stack.yaml: logs.megabytes:"),
        (
            "logs: {megabytes: 99999999999999999999}",
            "stack.yaml: logs.megabytes: should be less than or equal to 1000000",
        ),
        (
            "gateway: {connections_per_address: 100000000000}",
            "stack.yaml: gateway.connections_per_address: should be less",
        ),
        ("broker: {disk_free: 10%}", "stack.yaml: broker.disk_free: takes an amount, such as 512Mi or 2G, and no perc"),
        ("broker: {memory: 60 %}", "stack.yaml: broker.memory: takes an amount"),
    ],
)
def test_limits_that_docker_refuses(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems_of(tmp_path, text)
    assert found.startswith(problem)


def test_names_of_this_machine_have_no_port(tmp_path: Path) -> None:
    assert load(tmp_path, "dashboard: {hosts: [plant.example, 10.0.0.7]}").dashboard.hosts[0] == "plant.example"
    (problem,) = problems_of(tmp_path, "dashboard: {hosts: ['plant.example:8080']}")
    assert "dashboard.hosts" in problem and "without a port" in problem


PLAIN_PORTS = ("amqp", "mqtt", "management", "metrics", "gateway", "dashboard", "data", "grafana")


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        ("bind: 0.0.0.0\ntls: {enabled: true}", {*SECURE}),
        ("bind: 0.0.0.0\ntls: {enabled: true}\nplaintext: true", {*SECURE, *PLAIN_PORTS}),
        ("bind: 0.0.0.0\nplaintext: true", {*PLAIN_PORTS}),
        ("bind: {mqtts: 0.0.0.0, dashboard: 127.0.0.1}\ntls: {names: [plant.local]}", {"mqtts"}),
        ("bind: {mqtt: 0.0.0.0}\nplaintext: true", {"mqtt"}),
        ("tls: {enabled: true}", set()),
    ],
)
def test_ports_without_tls_stay_on_this_machine(tmp_path: Path, text: str, wide: set[str]) -> None:
    settings = load(tmp_path, text)
    assert {one for one in (*SECURE, *PLAIN_PORTS) if settings.is_open(one)} == wide
    assert settings.is_local is (not wide)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "bind: {mqtts: 0.0.0.0}",
            "stack.yaml: bind.mqtts: there is such a port with TLS only; add `tls: {enabled: true}`",
        ),
        (
            "bind: {mqtt: 10.0.0.7}",
            "stack.yaml: bind.mqtt: should be 127.0.0.1, where the stack's own tasks use it, or",
        ),
        ("bind: {mqtts: here}", "stack.yaml: bind.mqtts: should be an IPv4 address, not 'here'"),
        ("bind: {ssh: 0.0.0.0}", "stack.yaml: bind.ssh: is not a known key"),
        ("tls: {certificate: a.pem}", "stack.yaml: tls: certificate and key belong together"),
        (
            "tls: {names: ['*.plant']}",
            "stack.yaml: tls.names.0: should be a name such as tidegate.local, or an address",
        ),
        ("tls: {enabled: true}\nports: {gateway: 8443}", "stack.yaml: gateway and https are both 8443"),
    ],
)
def test_what_does_not_fit_the_network_is_told(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(problem)


def test_ports_with_tls_are_no_ones_without_it(tmp_path: Path) -> None:
    assert load(tmp_path, "ports: {gateway: 8443}").ports.gateway == 8443


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (2, "; of 2 none may be lost, as of 1"),
        (4, "; of 4 no more than one may be lost, as of 3"),
        (0, ""),
        (7, ""),
    ],
)
def test_nodes_of_which_no_more_may_be_lost_are_refused(tmp_path: Path, nodes: int, why: str) -> None:
    rule = f"should be 1, 3 or 5, not {nodes}: more than half of the nodes have to be there"
    assert problems_of(tmp_path, f"broker: {{nodes: {nodes}}}") == [f"stack.yaml: broker.nodes: {rule}{why}"]


def test_several_nodes_want_several_machines(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "broker: {nodes: 3}")
    assert problem.startswith(
        "stack.yaml: broker.nodes: 3 nodes are on as many machines, for which write `engine: swarm`"
    )
    assert load(tmp_path, "engine: swarm\nbroker: {nodes: 3}").broker.nodes == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("swarm: {registry: 8080}", "swarm.registry and gateway are both 8080; give one of them another port"),
        ("swarm: {registry: 5671}", "swarm.registry + 1 and amqp are both 5672; give one of them another port"),
        ("ports: {dashboard: 5001}", "swarm.registry + 1 and dashboard are both 5001; give one of them another port"),
        ("swarm: {registry: 8883}\ntls: {enabled: true}", "swarm.registry and mqtts are both 8883; give one of"),
        ("swarm: {registry: true}", "swarm.registry: should be a whole number, not True"),
        *(
            (f"swarm: {{subnet: {one}}}", f"swarm.subnet: should have addresses for containers only, such as {_GOOD}")
            for one in ("0.0.0.0/0", "127.0.0.0/8", "169.254.7.0/24", "224.1.0.0/16", "128.0.0.0/1")
        ),
    ],
)
def test_what_a_swarm_cannot_have(tmp_path: Path, text: str, told: str) -> None:
    (problem,) = problems_of(tmp_path, f"engine: swarm\n{text}")
    assert problem.startswith(f"stack.yaml: {told}")


@pytest.mark.parametrize(
    "text",
    [
        "ports: {dashboard: 5001}",
        "engine: swarm\nswarm: {registry: 8883, subnet: 10.9.0.0/16}",
        "engine: swarm\nswarm: {registry: 8080}\nimages: {registry: registry.example/team, mirror: m.example/hub/}",
        f"project: {'x' * 63}",
    ],
)
def test_what_clashes_with_nothing_is_taken(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)
