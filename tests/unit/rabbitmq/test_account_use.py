"""Who uses the accounts of people, as it is noted of a broker that is a table of answers."""

from pathlib import Path
from typing import Any

import pytest

from stack.docker.stack import open_stack
from stack.rabbitmq.account_use import AccountState, list_accounts, note_uses
from stack.rabbitmq.management import Broker, find_broker
from stack.state.account_use import WEEK_SECONDS, AccountUse, Login, UseLog

HOUR = 3600.0
GUEST = Login("guest", "MQTT", "10.0.0.5")
OTHER = Login("guest", "AMQP", "10.0.0.6")


def test_who_came_and_went_between_two_looks_is_noted() -> None:
    log = UseLog().add([], [AccountUse(GUEST, "pump")], 10.0).count({GUEST: 3}, 10.0)
    counts = {GUEST: 3, OTHER: 1}
    grown = log.has_grown(counts, 99 * HOUR)
    assert grown == {OTHER}
    log = log.add(grown, [], 20.0).count(counts, 20.0)
    assert log.uses == (AccountUse(OTHER, "", 20.0), AccountUse(GUEST, "pump", 10.0))
    assert log.has_grown({GUEST: 1}, HOUR) == {GUEST}, "the broker began to count again"
    assert [one.name for one in log.uses] == ["AMQP from 10.0.0.6", "pump (MQTT from 10.0.0.5)"]


def test_what_was_counted_long_before_the_first_look_has_no_time() -> None:
    assert UseLog().has_grown({GUEST: 3}, 2 * HOUR) == set()
    assert UseLog().has_grown({GUEST: 3}, HOUR / 2) == {GUEST}


def test_a_week_is_kept_and_written_when_it_says_more() -> None:
    log = UseLog().add([GUEST], [], 10.0).count({GUEST: 1}, 10.0)
    assert log.differs(UseLog())
    assert not log.add([], [AccountUse(GUEST, "", 0.0)], 30.0).differs(log), "it is still there"
    assert log.add([], [AccountUse(GUEST, "", 0.0)], 99.0).differs(log)
    assert log.add([], [], 11.0 + WEEK_SECONDS).uses == ()


def test_status_tells_people_by_name_and_all_others_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: p\n")
    connections = [
        {"user": "guest", "protocol": "MQTT 3.1.1", "peer_host": "10.0.0.5", "client_properties": {"client_id": "a"}},
        {"user": "function-f", "protocol": "AMQP 0-9-1", "peer_host": "10.0.0.7"},
        {"user": "tidegate-administrator", "protocol": "AMQP 0-9-1", "peer_host": "10.0.0.8"},
        *({"user": f"pump-{number}", "protocol": "Web MQTT 5-0", "peer_host": "10.0.0.9"} for number in range(3)),
        {},
    ]
    succeeded = {"remote_address": "::ffff:10.0.0.6", "username": "guest", "protocol": "http"}
    answers: dict[str, Any] = {
        "/api/nodes": [{"name": "rabbit@here", "uptime": 1000}, {"name": "rabbit@gone"}],
        "/api/auth/attempts/rabbit%40gone/source": {"error": "Object Not Found", "reason": "Not Found"},
        "/api/auth/attempts/rabbit%40here/source": [
            {**succeeded, "auth_attempts_succeeded": 1},
            {**succeeded, "username": "pump-1", "auth_attempts_succeeded": 9},
            {**succeeded, "username": "stranger", "auth_attempts_succeeded": 0},
        ],
        "/api/connections": connections,
    }
    monkeypatch.setattr(Broker, "request", lambda _, _method, path, _document=None: answers[path.partition("?")[0]])
    stack = open_stack()
    (guest, devices, functions) = list_accounts(stack, find_broker(stack))
    assert [one.name for one in guest.uses] == ["HTTP from 10.0.0.6", "a (MQTT from 10.0.0.5)"]
    assert (devices, functions) == (AccountState("devices", 3), AccountState("functions", 1))
    answers["/api/connections"] = answers["/api/auth/attempts/rabbit%40here/source"] = []
    assert len(note_uses(stack, find_broker(stack))) == 2, "they are kept when they have gone"
