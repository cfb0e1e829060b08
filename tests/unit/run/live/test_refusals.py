"""Refused logins: how often, and since when there are so many."""

from dataclasses import replace

from stack.live.devices import follow_refusals
from stack.rabbitmq.management_async import Refusal, read_refusal

KILN = Refusal("kiln", "10.0.0.7", "MQTT", 3)
KEY = ("kiln", "10.0.0.7", "MQTT")


def test_what_rabbitmq_tells_is_read() -> None:
    told = {
        "remote_address": "::ffff:10.0.0.7",
        "username": "kiln",
        "protocol": "mqtt",
        "auth_attempts": 5,
        "auth_attempts_failed": 3,
        "auth_attempts_succeeded": 2,
    }
    assert read_refusal(told) == KILN
    assert read_refusal({}) == Refusal("", "", "", 0)


def test_those_of_before_have_no_time() -> None:
    found = follow_refusals({}, [KILN], functions={}, time=None)
    assert (found[KEY]["count"], found[KEY]["last"]) == (3, None)
    assert follow_refusals(found, [KILN], functions={}, time=100.4)[KEY]["last"] is None


def test_new_ones_have() -> None:
    found = follow_refusals({}, [KILN], functions={}, time=None)
    more = Refusal("kiln", "10.0.0.7", "MQTT", 4)
    again = follow_refusals(found, [more], functions={"10.0.0.7": "thermo"}, time=100.4)
    assert (again[KEY]["count"], again[KEY]["last"], again[KEY]["function"]) == (4, 100, "thermo")
    assert follow_refusals(again, [more], functions={}, time=200)[KEY]["last"] == 100
    assert follow_refusals({}, [KILN], functions={}, time=50)[KEY]["last"] == 50


def test_what_the_broker_forgets_is_kept_and_counted_on() -> None:
    found = follow_refusals({}, [KILN], functions={}, time=50)
    found = follow_refusals(found, [], functions={}, time=60)
    assert (found[KEY]["count"], found[KEY]["last"]) == (3, 50)
    found = follow_refusals(found, [KILN], functions={}, time=70)
    assert (found[KEY]["count"], found[KEY]["last"]) == (6, 70)
    # It forgot, and counted again, between two looks.
    found = follow_refusals(found, [replace(KILN, count=2)], functions={}, time=80)
    assert (found[KEY]["count"], found[KEY]["last"]) == (8, 80)


def test_the_latest_are_kept() -> None:
    found: dict[tuple[str, str, str], dict[str, object]] = {}
    for number in range(150):
        found = follow_refusals(found, [replace(KILN, user=f"u{number}")], functions={}, time=number + 1)
    assert [user for user, _, _ in found] == [f"u{number}" for number in range(50, 150)]
