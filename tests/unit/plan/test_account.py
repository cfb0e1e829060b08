"""Accounts of the broker: what each may do, as RabbitMQ reads its permissions."""

import json
import re
from typing import Any

import pytest

from stack.config.environment import Secret
from stack.config.settings import Processor, Settings
from stack.plan.account import (
    ADMINISTRATOR,
    Accounts,
    administrator,
    describe_accounts,
    describe_base_image,
    function_account,
)
from stack.plan.broker import Credentials
from tests.unit.plan.samples import GUEST_ACCOUNTS, KEY, make_plan

MADE = Credentials("tidegate", Secret("s3cret/+ word"))
RABBIT = {"kind": "rabbit-mq"}
PLANS = (
    make_plan("one", triggers={"in": {**RABBIT, "attributes": {"queueName": "one.queue", "exchangeName": "plant"}}}),
    make_plan("two", triggers={"in": {**RABBIT, "attributes": {"queueName": "two", "exchangeName": "plant"}}}),
    make_plan("three", triggers={"in": RABBIT, "tick": {"kind": "cron", "attributes": {"interval": "1s"}}}),
    make_plan("shared", triggers={"in": {**RABBIT, "attributes": {"queueName": "plant", "exchangeName": "other"}}}),
)

LOGGER = make_plan("logger", triggers={"in": {**RABBIT, "attributes": {"queueName": "iot/logs"}}})


def read(accounts: Accounts = GUEST_ACCOUNTS, settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    """Return users and their permissions by name."""
    document = json.loads(describe_accounts(accounts, PLANS, settings=settings or Settings()))
    permissions = {one["user"]: one for one in document["permissions"]}
    return {user["name"]: {**user, **permissions.get(user["name"], {})} for user in document["users"]}


def may(user: str, action: str, name: str) -> bool:
    return re.search(read()[user][action], name) is not None


def test_only_tidegates_own_account_is_an_administrator() -> None:
    several = json.loads(describe_base_image(KEY, 3))
    assert several["vhosts"] == [{"name": "/", "metadata": {"default_queue_type": "quorum"}}]
    document = json.loads(describe_base_image(KEY))
    assert [(user["name"], user["tags"]) for user in document["users"]] == [(ADMINISTRATOR, ["administrator"])]
    assert document["vhosts"] == [{"name": "/"}]
    assert {name: user["tags"] for name, user in read().items()} == {
        "guest": ["monitoring"],
        "function-one": [],
        "function-two": [],
        "function-three": [],
        "function-shared": [],
    }


def test_what_functions_of_the_example_say_belongs_to_all() -> None:
    document = json.loads(describe_accounts(GUEST_ACCOUNTS, [*PLANS, LOGGER], settings=Settings()))
    permissions = {one["user"]: one for one in document["permissions"]}
    for user in ("function-one", "function-logger", "guest"):
        assert all(re.search(permissions[user][action], "iot/logs") for action in ("configure", "write", "read"))


def test_guest_is_locked_out_by_other_credentials() -> None:
    found = read(Accounts(KEY, MADE))
    assert (found["guest"]["password_hash"], found["guest"]["tags"]) == ("", [])
    assert "read" not in found["guest"]
    assert (found["tidegate"]["tags"], found["tidegate"]["read"]) == (["monitoring"], ".*")


def test_former_account_goes_on_beside_the_current_one() -> None:
    found = read(Accounts(KEY, Credentials("tidegate-2", Secret("b")), (MADE,)))
    assert {"tidegate", "tidegate-2"} <= set(found)
    assert found["tidegate"]["password_hash"] != found["tidegate-2"]["password_hash"]


@pytest.mark.parametrize("action", ["configure", "write", "read"])
@pytest.mark.parametrize("suffix", ["", ".dead", ".retry.1000ms"])
@pytest.mark.parametrize(
    ("function", "queue"), [("one", "one.queue"), ("two", "two"), ("three", "nuclio-nuclio-three")]
)
def test_a_queue_is_its_functions_alone(function: str, queue: str, suffix: str, action: str) -> None:
    allowed = {user for user in read() if may(user, action, f"{queue}{suffix}")}
    assert allowed == {f"function-{function}"}


@pytest.mark.parametrize(
    "name", ["iot/logs", "iot/alerts", "amq.topic", "amq.default", "mqtt-subscription-xqos0", "one-queue", "two.dead.x"]
)
def test_what_is_no_functions_is_everybodys(name: str) -> None:
    assert all(may(user, action, name) for user in read() for action in ("configure", "write", "read"))


@pytest.mark.parametrize("name", ["tidegate-watch-1", "amq.rabbitmq.trace", "nuclio-nuclio-three-tick.lock"])
def test_what_is_tidegates_or_the_brokers_is_no_ones(name: str) -> None:
    allowed = {user for user in read() if may(user, "read", name)}
    assert allowed == ({"function-three"} if name.endswith(".lock") else set())


def test_an_exchange_may_be_declared_and_published_to_where_a_queue_has_its_name() -> None:
    assert {user for user in read() if may(user, "configure", "plant")} == set(read())
    assert {user for user in read() if may(user, "write", "plant")} == set(read())
    assert not may("function-three", "read", "plant")
    assert not may("function-three", "read", "plant.dead")


def test_nuclios_own_processor_logs_in_as_the_guest() -> None:
    found = read(settings=Settings(processor=Processor.NUCLIO))
    assert all(re.search(found["guest"]["read"], name) for name in ("one.queue", "nuclio-nuclio-three"))


def test_each_account_has_a_password_of_its_own() -> None:
    passwords = {account.password.get_secret_value() for account in _list_accounts()}
    assert len(passwords) == 3
    assert all(len(password) == 64 for password in passwords)
    text = describe_accounts(Accounts(KEY, MADE), PLANS, settings=Settings()) + describe_base_image(KEY)
    assert not any(password in text for password in {*passwords, "s3cret"})


def _list_accounts() -> tuple[Credentials, ...]:
    return (administrator(KEY), function_account(KEY, "one"), function_account(KEY, "two"))


def test_no_one_publishes_to_a_topic_that_amqp_cannot_deliver() -> None:
    for document in map(
        json.loads, (describe_base_image(KEY), describe_accounts(GUEST_ACCOUNTS, PLANS, settings=Settings()))
    ):
        assert [one["user"] for one in document["topic_permissions"]] == [
            one["user"] for one in document["permissions"]
        ]
        for one in document["topic_permissions"]:
            pattern = one["write"].replace(r"\z", r"\Z").encode()
            assert re.search(pattern, b"t" * 255) and re.search(pattern, b"a\n") and re.search(pattern, b"\xff\0")
            assert not re.search(pattern, b"t" * 256) and not re.search(pattern, b"t" * 255 + b"\n")
