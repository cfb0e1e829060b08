"""A broker of several nodes: how each is told of the others, and how clients are."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from stack.config.bridge import Bridge
from stack.config.settings import ImageSource, Settings
from stack.contract import NODES_VARIABLE
from stack.plan.account import describe_accounts, erlang_cookie
from stack.plan.broker import NODES, SERVICE, Bound, find_host, is_node, list_nodes, topology
from stack.plan.definitions import read_definitions
from stack.plan.function import declared_by_outputs, find_queues, plan_function, processor_document
from stack.plan.gateway import render_gateway
from stack.plan.image import Archive, BaseImages
from stack.plan.inputs import Inputs
from stack.plan.render import render_broker, render_compose
from stack.plan.replication import find_fixed_copies, find_missing_copies, find_single_copies
from stack.plan.scrape import render_scrape
from stack.plan.secret import Vault
from stack.plan.stack import plan_service
from stack.plan.trigger.registry import find_kind
from tests.unit.plan.samples import GUEST_ACCOUNTS, KEY, make_function, make_plan, make_vault

ONE = Settings(engine="swarm")
THREE = ONE.model_copy(update={"broker": ONE.broker.model_copy(update={"nodes": 3})})
HQ = Bridge(name="hq", to="amqps://hq.example/%2f", secret="hq.account", topics=("plant/#",))
IMAGES = BaseImages(ImageSource.DEBIAN, Archive("trixie", ("deb http://deb.example/debian trixie main",)))


def render(settings: Settings, path: str) -> str:
    return render_broker(Inputs(settings, IMAGES, GUEST_ACCOUNTS))[path].decode()


def test_the_first_node_is_called_as_a_broker_of_one() -> None:
    assert (list_nodes(ONE), find_host(ONE)) == ((SERVICE,), SERVICE)
    assert (list_nodes(THREE), find_host(THREE)) == ((SERVICE, f"{SERVICE}-2", f"{SERVICE}-3"), NODES)
    assert [is_node(one) for one in (*list_nodes(THREE), NODES, "gateway")] == [True, True, True, False, False]


def test_nodes_are_told_of_each_other() -> None:
    configuration = render(THREE, "rabbitmq/rabbitmq.conf")
    named = re.findall(r"cluster_formation\.classic_config\.nodes\.(\d) = (\S+)", configuration)
    assert named == [("1", f"rabbit@{SERVICE}"), ("2", f"rabbit@{SERVICE}-2"), ("3", f"rabbit@{SERVICE}-3")]
    assert "target_group_size = 3\n" in configuration
    assert "{kernel, [{net_ticktime, 10}]}].\n" in render(THREE, "rabbitmq/advanced.config")


def test_one_node_is_told_of_none() -> None:
    assert "cluster" not in render(ONE, "rabbitmq/rabbitmq.conf")
    assert "kernel, [{net" not in render(ONE, "rabbitmq/advanced.config")


def test_clients_are_led_to_all_nodes() -> None:
    urls = [Vault({}, KEY, KEY, broker=find_host(one)).contents_for("thermo") for one in (ONE, THREE)]
    hosts = [{content.get_secret_value().decode().partition("@")[2] for content in one.values()} for one in urls]
    assert hosts == [
        {"", f"{SERVICE}:5672/", f"{SERVICE}:1883/"},
        {"", f"{NODES}:5672/", f"{NODES}:1883/"},
    ]
    lines = [line.split() for line in render_gateway([], THREE)["gateway/haproxy.cfg"].decode().splitlines()]
    found = [line[:4] for line in lines if len(line) > 3 and line[1] == "broker"]
    assert found == [["server-template", "broker", "3", f"{NODES}:{port}"] for port in (15672, 15692)]
    (scrape,) = render_scrape(ONE.data.model_copy(update={"scrape": "30s"}), [], nodes=list_nodes(THREE)).values()
    assert scrape.decode().count(f'"{SERVICE}:15692", "{SERVICE}-2:15692", "{SERVICE}-3:15692"') == 2


def test_functions_are_told_how_many_there_are() -> None:
    services = [
        plan_service(make_plan(), settings, image="i", vault=make_vault(), is_deployed=True)
        for settings in (ONE, THREE)
    ]
    assert [one.environment for one in services] == [{}, {NODES_VARIABLE: "3"}]


def test_the_cookie_is_of_the_stack_key() -> None:
    assert re.fullmatch(rb"[0-9a-f]{64}", erlang_cookie(KEY).get_secret_value())


def describe(name: str, queue_type: str = "classic", **given: Any) -> dict[str, Any]:
    arguments = {**given.pop("arguments", {}), "x-queue-type": queue_type}
    return {"vhost": "/", "name": name, "durable": True, "auto_delete": False, "arguments": arguments, **given}


@pytest.mark.parametrize(
    ("queue", "becomes"),
    [
        (describe("q"), ["q"]),
        (describe("q", arguments={"x-expires": 9000, "x-max-length": 5}), ["q"]),
        (describe("q.moving", "quorum"), ["q"]),
        (describe("q", "quorum"), []),
        (describe("q", "stream"), []),
        (describe("q", durable=False), []),
        (describe("q", auto_delete=True), []),
        (describe("q", arguments={"x-max-priority": 5}), []),
        (describe("q", arguments={"x-overflow": "reject-publish-dlx"}), []),
    ],
)
def test_what_one_node_keeps_becomes_a_quorum_queue(queue: dict[str, Any], becomes: list[str]) -> None:
    found = list(find_single_copies(read_definitions([{"queues": [queue]}])))
    assert [one.document["name"] for one in found] == becomes
    assert all((one.document["type"], one.document["durable"]) == ("quorum", True) for one in found)


def test_what_cannot_be_one_is_told_with_the_reason() -> None:
    queues = [describe("ranked", arguments={"x-max-priority": 5}), describe("q"), describe("r", durable=False)]
    (found,) = find_fixed_copies(read_definitions([{"queues": queues}]))
    assert (found.subject, found.level) == ("queue ranked", "warn")
    assert "quorum queues have no x-max-priority" in found.what


def test_queues_that_are_not_on_all_nodes_are_one_trouble() -> None:
    queues: list[dict[str, Any]] = [
        {"name": "a", "type": "quorum", "online": ["1", "2", "3"]},
        {"name": "b", "type": "quorum", "online": ["1", "2"]},
        {"name": "c", "type": "classic"},
    ]
    (found,) = find_missing_copies(queues, 3)
    assert found.what == "keeps 1 queue, such as b, on 2 of 3 nodes now."
    assert not list(find_missing_copies(queues[:1], 3))


CLASSIC = {
    "in": {"kind": "rabbit-mq", "attributes": {"queueName": "q", "queueType": "classic"}},
    "lost": {"kind": "rabbit-mq", "attributes": {"queueName": "r", "queueType": "classic", "durableQueue": False}},
}


def test_a_durable_queue_is_classic_with_one_node_only() -> None:
    function = make_function(
        triggers=CLASSIC, outputs={"out": {"kind": "rabbit-mq", "queue": "s", "queueType": "classic"}}
    )
    for settings, types in ((ONE, ["classic", "classic", "classic"]), (THREE, ["quorum", "classic", "quorum"])):
        plan = plan_function(function, settings)
        bound = [*find_queues(plan).values(), *declared_by_outputs(plan).values()]
        assert [one.queue_type for one in sorted(bound, key=lambda one: one.queue)] == types
        assert processor_document(plan).count('"classic"') == types.count("classic")


def test_what_an_older_deployment_calls_classic_is_a_quorum_queue() -> None:
    bound = Bound("", False, "q", True, (), "classic")
    both = [bound, replace(bound, queue="r", is_durable_queue=False)]
    types = [one["arguments"]["x-queue-type"] for one in json.loads(topology(both, is_replicated=True))["queues"]]
    assert types == ["quorum", "classic"]


def test_a_session_at_another_broker_is_one_replicas() -> None:
    there = {"kind": "mqtt", "url": "mqtt://broker.example", "attributes": {"subscriptions": [{"topic": "a"}]}}
    here = {**there, "url": ""}
    plan = make_plan(triggers={"there": there, "here": here})
    names = {name: [find_kind(one).has_lock(one, nodes) for nodes in (1, 3)] for name, one in plan.triggers.items()}
    assert (names["there"], names["here"]) == ([False, True], [False, False])
    for settings, is_own in {ONE: False, THREE: True}.items():
        (permission,) = [
            one
            for one in json.loads(describe_accounts(GUEST_ACCOUNTS, [plan], settings=settings))["permissions"]
            if one["user"] == "function-thermo"
        ]
        assert bool(re.search(permission["configure"], "nuclio-nuclio-thermo-there.lock")) is is_own


def test_each_node_knows_who_vouches_for_other_places() -> None:
    settings = THREE.model_copy(update={"bridge": (HQ,)})
    inputs = Inputs(settings, IMAGES, GUEST_ACCOUNTS, authorities=(("hq.pem", "0123"),))
    document = yaml.safe_load(render_compose(inputs))
    node = document["services"][f"{SERVICE}-2"]
    assert {"source": "broker-hq.pem-0123", "target": "/etc/tidegate/bridge/hq.pem", "mode": 0o444} in node["configs"]
    assert document["configs"]["broker-hq.pem-0123"] == {"file": "./secrets/bridge/hq.pem"}


def test_one_node_has_them_of_its_machine() -> None:
    settings = ONE.model_copy(update={"bridge": (HQ,)})
    document = yaml.safe_load(render_compose(Inputs(settings, IMAGES, GUEST_ACCOUNTS)))
    targets = {one["target"] for one in document["services"][SERVICE]["volumes"]}
    assert "/etc/tidegate/bridge" in targets


def test_a_cluster_after_another_has_volumes_of_its_own() -> None:
    """Data of an earlier one, which is left on other machines, would let no node join."""
    document = yaml.safe_load(render_compose(Inputs(THREE, IMAGES, GUEST_ACCOUNTS, cluster="1a2b")))
    named = [document["services"][one]["volumes"][0]["source"] for one in list_nodes(THREE)]
    assert named == ["rabbitmq-data-trixie", *["rabbitmq-data-trixie-1a2b"] * 2]
    assert {*named} == {*document["volumes"]}
