"""What the account of a device may do: on its own topics, and nowhere else."""

import re

import pytest

from stack.config.device import Device, DeviceConfig, DeviceType, check_device_name, complete_device
from stack.config.environment import SecretContent
from stack.plan.device_account import SERVICE_ACCOUNT, describe_devices, write_expression

KEY = SecretContent(b"k" * 32)


def matches(expression: str, text: str) -> bool:
    """Match as RabbitMQ does, whose expressions write the end of a text as Python's before 3.14 do not."""
    return re.search(expression.replace(r"\z", r"\Z"), text) is not None


def build(name: str = "pump-7", *, types: dict[str, DeviceType] | None = None, **said: object) -> DeviceConfig:
    return complete_device(name, Device.model_validate(said), types=types or {})


@pytest.mark.parametrize(
    ("filters", "key"),
    [
        (["plant/pump-7/#"], "plant.pump-7.state.on"),
        (["plant/pump-7/#"], "plant.pump-7"),
        (["plant/+/state"], "plant.pump-7.state"),
        (["plant/+/state"], "plant.*.state"),
        (["#"], "any.thing"),
        (["a", "b/#"], "b.c.#"),
        (["plant/v1.2/x"], "plant.v1.2.x"),
    ],
)
def test_takes_keys_of_its_topics(filters: list[str], key: str) -> None:
    assert re.fullmatch(write_expression(filters), key)


@pytest.mark.parametrize(
    ("filters", "key"),
    [
        (["plant/pump-7/#"], "plant.pump-70.state"),
        (["plant/pump-7/#"], "plant.*.state"),
        (["plant/pump-7/#"], "#"),
        (["plant/pump-7/#"], "xplant.pump-7"),
        (["plant/+/state"], "plant.a.b.state"),
        (["plant/+/state"], "plant.#.state"),
        (["plant/+/state"], "plant.pump-7.state.x"),
        ([], ""),
        ([], "a"),
    ],
)
def test_refuses_all_others(filters: list[str], key: str) -> None:
    assert not re.fullmatch(write_expression(filters), key)


def test_an_account_has_its_own_queues_and_topics_alone() -> None:
    types = {"sensor": DeviceType.model_validate({"publish": ["plant/{id}/+"], "subscribe": ["plant/{id}/cmd/#"]})}
    document = describe_devices(KEY, [build(type="sensor", types=types)])
    parts = (document["users"], document["permissions"], document["topic_permissions"])
    user, permission, topics = (part[1] for part in parts)
    assert (user["name"], user["tags"], user["limits"]["max-connections"]) == ("pump-7", [], 2)
    assert matches(permission["configure"], "mqtt-subscription-pump-7qos1")
    for right in ("configure", "write", "read"):
        for other in ("mqtt-subscription-pump-70qos1", "mqtt-subscription-pump-7qos1x", "iot/sensors", "amq.fanout"):
            assert not matches(permission[right], other), (right, other)
    assert not matches(permission["configure"], "amq.topic")
    assert matches(permission["write"], "amq.topic")
    assert topics["exchange"] == "amq.topic"
    assert matches(topics["write"], "plant.pump-7.t")
    assert not matches(topics["write"], "plant.pump-7.cmd.open")
    assert not matches(topics["write"], "plant.pump-7." + "x" * 250)


def test_what_the_stack_knows_of_a_device_it_alone_says() -> None:
    """Also a device that may speak on all topics says nothing in the name of another."""
    for device in (build(), build(topics=["#"]), build(publish=["+/devices/+/+/+"])):
        topics = describe_devices(KEY, [device])["topic_permissions"][1]
        for what in ("twin.reported", "ack.7"):
            assert matches(topics["write"], f"tidegate.devices.pump-7.{what}")
            assert not matches(topics["write"], f"tidegate.devices.pump-70.{what}")
        for what in ("devices.pump-7.presence", "devices.pump-7.twin.delta", "devices.pump-7.cmd.7", "requests.call"):
            assert not matches(topics["write"], f"tidegate.{what}")
    topics = describe_devices(KEY, [build()])["topic_permissions"][1]
    for what in ("twin.delta", "cmd.#", "cmd.*", "cmd.7"):
        assert matches(topics["read"], f"tidegate.devices.pump-7.{what}")
        assert not matches(topics["read"], f"tidegate.devices.*.{what}")
    assert not matches(topics["read"], "tidegate.devices.pump-7.#")


def test_the_service_has_an_account_where_there_are_devices() -> None:
    document = describe_devices(KEY, [build()])
    user, permission, topics = (document[part][0] for part in ("users", "permissions", "topic_permissions"))
    assert user["name"] == permission["user"] == topics["user"] == SERVICE_ACCOUNT
    assert matches(permission["read"], "amq.rabbitmq.event") and not matches(permission["read"], "iot/sensors")
    assert matches(topics["read"], "tidegate.devices.*.twin.reported") and not matches(topics["read"], "plant.*")
    assert not any(describe_devices(KEY, []).values())


def test_a_password_that_no_one_is_told_stands_at_the_broker() -> None:
    first, second = (describe_devices(KEY, [build(name)])["users"][1]["password_hash"] for name in ("a", "b"))
    assert first
    assert first != second


def test_without_topics_it_has_those_of_its_name() -> None:
    assert build().publish == build().subscribe == ("devices/pump-7/#",)


def test_a_device_says_all_or_its_type_does() -> None:
    types = {
        "sensor": DeviceType.model_validate({"topics": ["plant/{id}/#"], "labels": {"maker": "acme", "site": "a"}})
    }
    device = build(types=types, type="sensor", labels={"site": "b"})
    assert (device.publish, device.labels) == (("plant/pump-7/#",), {"maker": "acme", "site": "b"})
    assert build(types=types, type="sensor", publish=["x"]).subscribe == ()


def test_unknown_type_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"there is no device-types/pump\.yaml\. There are: sensor"):
        build(type="pump", types={"sensor": DeviceType()})


@pytest.mark.parametrize(
    "name", ["", "a.b", "a/b", "-a", "guest", "function-x", "tidegate", "tidegate-2", "a" * 64, "ä", "a\n"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        check_device_name(name)


@pytest.mark.parametrize("topic", ["a/#/b", "a+", "$share/g/x", "{name}/x", "", "a\0"])
def test_topics_that_are_none(topic: str) -> None:
    with pytest.raises(ValueError, match="topics"):
        Device.model_validate({"topics": [topic]})
