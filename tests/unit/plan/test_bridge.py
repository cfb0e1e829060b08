"""What a bridge makes of the broker at each end."""

import json
import re
from typing import Any

import pytest

from stack.config.bridge import Bridge
from stack.config.environment import SecretContent, SecretRef
from stack.config.settings import ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.bridge import check_bridges, list_shovels, name_shovels, render_bridges
from stack.plan.definitions import as_document, read_definitions
from stack.plan.drift import find_drift
from stack.plan.gateway import render_gateway
from stack.plan.image import Archive, BaseImages
from tests.unit.plan.samples import KEY, make_vault

WORD = "a word/with:signs@"
CONTENTS = {SecretRef("hq", "account"): SecretContent(f"tidegate-bridge-plant-7:{WORD}\n".encode())}
SITE: dict[str, Any] = {
    "name": "hq",
    "to": "amqps://hq.example/%2f",
    "secret": "hq.account",
    "topics": ["plant/#", "plant/+/t"],
    "exchange": "iot/sensors",
    "receive": ["cmd/7/+"],
    "buffer": "30d",
}
HQ: dict[str, Any] = {
    "name": "plant-7",
    "secret": "hq.account",
    "topics": ["cmd/7/#"],
    "receive": ["plant/#"],
    "exchange": "iot/sensors",
}
# As functions declare them.
EXCHANGES = {"iot/sensors": True, "other": False}
TRIXIE = BaseImages(ImageSource.DEBIAN, Archive("trixie", ()))


def make_settings(*bridges: dict[str, Any]) -> Settings:
    found = tuple(map(Bridge.model_validate, bridges))
    is_site = any(one.connects for one in found)
    return Settings(project="plants", site="plant-7" if is_site else "hq", bridge=found)


def render(*bridges: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(render_bridges(make_settings(*bridges), KEY, contents=CONTENTS, exchanges=EXCHANGES)))


def list_values(*bridges: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        str(one["name"]): dict(one["value"]) for one in list_shovels(make_settings(*bridges), KEY, contents=CONTENTS)
    }


def test_what_goes_there_waits_in_one_quorum_queue() -> None:
    found = render(SITE)
    (queue,) = found["queues"]
    assert (queue["name"], queue["durable"]) == ("tidegate-bridge-hq", True)
    assert queue["arguments"] == {"x-queue-type": "quorum"}
    bound = [(one["source"], one["routing_key"]) for one in found["bindings"]]
    assert bound == [("amq.topic", "plant.#"), ("amq.topic", "plant.*.t"), ("iot/sensors", "#")]
    assert {one["destination"] for one in found["bindings"]} == {queue["name"]}


def test_queue_has_bounds_by_time_and_size_and_the_oldest_go() -> None:
    (policy,) = render({**SITE, "megabytes": 20})["policies"]
    assert policy["definition"] | {"delivery-limit": 0} == {
        "message-ttl": 30 * 86400 * 1000,
        "max-length-bytes": 20_000_000,
        "overflow": "drop-head",
        "delivery-limit": 0,
    }
    assert re.search(policy["pattern"], "tidegate-bridge-hq")
    assert not re.search(policy["pattern"], "tidegate-bridge-hq-2")


def test_nothing_waits_where_nothing_goes() -> None:
    found = render({"name": "hq", "to": "amqp://hq", "secret": "hq.account", "receive": ["cmd/#"]})
    assert not (found["queues"] or found["bindings"] or found["policies"])


def test_shovel_confirms_and_keeps_exchange_and_key() -> None:
    sent, received = (list_values(SITE)[name] for name in ("tidegate-bridge-hq", "tidegate-bridge-hq.receive"))
    for one in (sent, received):
        assert (one["ack-mode"], one["dest-add-forward-headers"]) == ("on-confirm", True)
        assert not {"dest-exchange", "dest-exchange-key", "dest-queue"} & one.keys()
    assert sent["src-queue"] == "tidegate-bridge-hq"
    assert received["src-queue"] == "tidegate-bridge-plant-7"
    assert sent["dest-uri"] == received["src-uri"]


def test_address_checks_the_certificate_by_the_name_of_the_host() -> None:
    uri = list_values(SITE)["tidegate-bridge-hq"]["dest-uri"]
    assert uri.startswith("amqps://tidegate-bridge-plant-7:a%20word%2Fwith%3Asigns%40@hq.example:5671/%2F?")
    assert "cacertfile=/etc/tidegate/bridge/hq.pem&verify=verify_peer&server_name_indication=hq.example" in uri


def test_limited_bridge_goes_by_the_gateway_there_and_not_back() -> None:
    found = list_values({**SITE, "rate": "1 MB/s"})
    uri = found["tidegate-bridge-hq"]["dest-uri"]
    assert "@gateway-control:5700/" in uri
    assert "server_name_indication=hq.example" in uri
    # With another limit it connects again; that of one leaves the ports of others alone.
    assert uri != list_values({**SITE, "rate": "2 MB/s"})["tidegate-bridge-hq"]["dest-uri"]
    second = list_values({**SITE, "name": "b", "topics": ["b"], "receive": []}, {**SITE, "rate": "1 MB/s"})
    assert "@gateway-control:5701/" in second["tidegate-bridge-hq"]["dest-uri"]
    assert "@hq.example:5671/" in found["tidegate-bridge-hq.receive"]["src-uri"]


def test_place_that_waits_has_no_shovel_but_an_account() -> None:
    assert not list_values(HQ)
    found = render(HQ)
    (user,), (allowed,) = found["users"], found["permissions"]
    assert user["name"] == allowed["user"] == "tidegate-bridge-plant-7"
    assert WORD not in json.dumps(found)
    for name, is_so in (("tidegate-bridge-plant-7", True), ("tidegate-bridge-plant-77", False), ("orders", False)):
        assert bool(re.search(allowed["read"].replace(r"\z", r"\Z"), name)) is is_so
    for name, is_so in (("amq.topic", True), ("iot/sensors", True), ("", False), ("tidegate-bridge-plant-7", False)):
        assert bool(re.search(allowed["write"].replace(r"\z", r"\Z"), name)) is is_so
    assert not re.search(allowed["configure"], "") and not re.search(allowed["configure"], "x")


@pytest.mark.parametrize(
    ("key", "is_so"), [("plant.7.t", True), ("plant", True), ("cmd.7.x", False), ("plant." + "x" * 250, False)]
)
def test_account_publishes_what_is_received_alone(key: str, *, is_so: bool) -> None:
    (topics,) = render(HQ)["topic_permissions"]
    assert (topics["user"], topics["exchange"]) == ("tidegate-bridge-plant-7", "amq.topic")
    assert bool(re.search(topics["write"].replace(r"\z", r"\Z"), key)) is is_so


def test_shovels_are_named_by_their_way() -> None:
    site, hq = make_settings(SITE).bridge[0], make_settings(HQ).bridge[0]
    assert name_shovels(site) == {"tidegate-bridge-hq": "to", "tidegate-bridge-hq.receive": "from"}
    assert not name_shovels(hq)


@pytest.mark.parametrize(
    ("bridge", "secret", "problem"),
    [
        (SITE, None, "bridge.hq.secret: there is no secret hq.account. Set it: invoke secret set hq account"),
        (SITE, b"word", "bridge.hq.secret: hq.account is no account, such as USER:PASSWORD"),
        (HQ, b"me:word", "bridge.plant-7.secret: hq.account should have the user tidegate-bridge-plant-7"),
    ],
)
def test_account_that_is_wrong_is_told_and_not_shown(
    bridge: dict[str, Any], secret: bytes | None, problem: str
) -> None:
    vault = make_vault(**({"hq_account": secret} if secret else {}))
    with pytest.raises(ConfigError) as caught:
        check_bridges(make_settings(bridge), TRIXIE, vault)
    assert str(caught.value).startswith(f"stack.yaml: {problem}")
    assert "word" not in str(caught.value)


def test_older_rabbitmq_is_refused() -> None:
    vault = make_vault(hq_account=b"me:word")
    with pytest.raises(ConfigError, match="RabbitMQ of this system's packages is too old"):
        check_bridges(make_settings(SITE), BaseImages(ImageSource.DEBIAN, Archive("bookworm", ())), vault)
    check_bridges(make_settings(SITE), TRIXIE, vault)
    check_bridges(make_settings(SITE), BaseImages(ImageSource.REGISTRY, Archive("bookworm", ())), vault)


def tell(wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, str]:
    drift = find_drift(read_definitions([wanted]), read_definitions([found]))
    return {one.subject: f"{one.action}: {one.reason}" for one in drift}


def test_shovel_that_differs_is_told_without_its_password() -> None:
    wanted = {"parameters": list(list_shovels(make_settings(SITE), KEY, contents=CONTENTS))}
    first = {**wanted["parameters"][0], "value": {"src-uri": "amqp://me:secret-word@elsewhere"}}
    told = tell(wanted, {"parameters": [first]})
    assert told == {
        "shovel tidegate-bridge-hq": "change: is not as declared",
        "shovel tidegate-bridge-hq.receive": "create: is missing at the broker",
    }
    made = find_drift(read_definitions([wanted]), read_definitions([]))
    assert as_document([(one.kind, one.document) for one in made]) == wanted


def test_exchange_is_as_functions_declare_it() -> None:
    (exchange,) = render(SITE)["exchanges"]
    assert (exchange["name"], exchange["durable"]) == ("iot/sensors", True)
    (own,) = render({**SITE, "exchange": "own", "durable": False})["exchanges"]
    assert (own["name"], own["durable"]) == ("own", False)


def test_what_is_of_a_bridge_that_is_no_more_goes() -> None:
    users = {"users": [{"name": "ann", "password_hash": "x", "tags": []}]}
    found = {**render(SITE), **users, "parameters": list(list_shovels(make_settings(SITE), KEY, contents=CONTENTS))}
    found |= {"permissions": [], "topic_permissions": [], "exchanges": []}
    reason = "remove: is of a bridge or a topic that is no more"
    told = tell(users, found)
    assert set(told.values()) == {reason}
    assert {one.partition(" ")[0] for one in told} == {"shovel", "policy", "binding"}
    # A deploy says nothing of bridges.
    assert not tell({}, found)


@pytest.mark.parametrize(("engine", "bound"), [("compose", "bind gateway-control:5700"), ("swarm", "bind :5700")])
def test_gateway_lets_the_broker_alone_use_a_limited_line(engine: str, bound: str) -> None:
    settings = make_settings({**SITE, "rate": "1 MB/s"}).model_copy(update={"engine": engine})
    (text,) = (one.decode() for path, one in render_gateway([], settings).items() if path.endswith("haproxy.cfg"))
    line = text[text.index("frontend line-hq") :].partition("# What is no")[0]
    assert bound in line
    assert ("tcp-request connection reject unless" in line) is (engine == "swarm")
    assert "bwlim-in line default-limit 1000000 default-period 1s" in line
    assert "server there hq.example:5671 resolvers docker resolve-prefer ipv4 init-addr none" in line


def test_shovels_have_as_much_on_their_way_as_is_said() -> None:
    assert {one["src-prefetch-count"] for one in list_values(SITE).values()} == {50}
    assert {one["src-prefetch-count"] for one in list_values({**SITE, "prefetch": 20}).values()} == {20}
