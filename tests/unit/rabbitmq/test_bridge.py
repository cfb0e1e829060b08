"""How bridges are, of what a broker and its container tell."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time
from types import SimpleNamespace
from typing import Any

import pytest

from stack.config.bridge import Bridge
from stack.config.settings import Settings
from stack.docker.stack import Stack
from stack.rabbitmq import bridge
from stack.rabbitmq.bridge import delete_empty_queue, fetch_bridges
from stack.rabbitmq.management import Broker, RefusedError

BROKER = Broker("host", 1, 2, 3, None)  # type: ignore[arg-type]
SITE = {"name": "hq", "to": "amqps://hq", "secret": "hq.account", "topics": ["plant/#"], "receive": ["cmd/#"]}
HQ = {"name": "plant-7", "secret": "plant-7.account", "receive": ["plant/#"], "topics": ["cmd/#"]}
LOG = "Shovel 'tidegate-bridge-hq.receive' in virtual host '/' failed to connect (URI: amqps://hq): {econnrefused}\n"


class Engine:
    """Docker, where the broker runs; it counts how often its program was started."""

    def __init__(self, said: str = "") -> None:
        self.said = said
        self.looks = 0

    def containers(self) -> list[Any]:
        return [SimpleNamespace(service="rabbitmq-mqtt", is_running=True)]

    def last_logs(self, _container: Any, *, lines: int) -> str:
        return LOG if lines else ""

    def execute(self, _container: Any, *command: str) -> str:
        assert command[-3:] == ("peek", "tidegate-bridge-hq", "1")
        self.looks += 1
        return self.said


def make_stack(engine: Engine, *bridges: dict[str, Any]) -> Stack:
    settings = Settings(bridge=tuple(map(Bridge.model_validate, bridges)))
    return SimpleNamespace(settings=settings, engine=engine)  # type: ignore[return-value]


def answer(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Any]) -> None:
    def request(_: Broker, _method: str, path: str, _document: object = None) -> Any:
        for part, found in answers.items():
            if path.startswith(f"/api/{part}"):
                return found
        raise RefusedError("There is none.", 404)

    monkeypatch.setattr(Broker, "request", request)


def run(name: str, state: str = "running") -> dict[str, str]:
    return {"name": name, "state": state}


def test_stack_without_bridges_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broker, "request", None)
    assert fetch_bridges(make_stack(Engine()), BROKER, with_oldest=True) == ()


def test_bridge_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shovels = [run("tidegate-bridge-hq"), run("tidegate-bridge-hq.receive"), run("another", "terminated")]
    answer(monkeypatch, {"shovels": shovels, "queues": {"messages": 3, "message_bytes": 300}})
    engine = Engine()
    (state,) = fetch_bridges(make_stack(engine, SITE), BROKER, with_oldest=True)
    assert (state.runs, state.messages, state.size, state.reason) == (True, 3, 300, "")
    # What is on its way is not old.
    assert (state.oldest, engine.looks) == (None, 0)


def test_bridge_that_stopped_says_why_and_how_old_what_waits_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shovels = [run("tidegate-bridge-hq"), run("tidegate-bridge-hq.receive", "terminated")]
    answer(monkeypatch, {"shovels": shovels, "queues": {"messages": 3}})
    engine = Engine(json.dumps({"message": {"timestamp": int(time()) - 3600}, "result": "ok"}))
    (state,) = fetch_bridges(make_stack(engine, SITE), BROKER, with_oldest=True)
    assert (state.runs, state.reason) == (False, "its broker takes no connections at that port")
    assert state.oldest == pytest.approx(3600, abs=5)
    (state,) = fetch_bridges(make_stack(engine, SITE), BROKER)
    assert (state.oldest, engine.looks) == (None, 1)


@pytest.mark.parametrize("said", ["", "Error: no", '{"message": {}}', "[]"])
def test_oldest_is_not_known_where_rabbitmq_does_not_tell(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    answer(monkeypatch, {"shovels": [], "queues": {"messages": 3}})
    (state,) = fetch_bridges(make_stack(Engine(said), SITE), BROKER, with_oldest=True)
    assert state.oldest is None


def test_broker_before_its_restart_has_no_shovels(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, {})
    (state,) = fetch_bridges(make_stack(Engine(), SITE), BROKER)
    assert (state.runs, state.messages) == (False, 0)


@pytest.mark.parametrize(("connections", "consumers", "runs"), [([{}, {}], 1, True), ([{}], 0, False), ([], 0, False)])
def test_place_that_connects_is_there_or_not(
    monkeypatch: pytest.MonkeyPatch, connections: list[Any], consumers: int, runs: bool
) -> None:
    queue = {"messages": 9, "consumers": consumers}
    answer(monkeypatch, {"connections/username/tidegate-bridge-plant-7": connections, "queues": queue})
    (state,) = fetch_bridges(make_stack(Engine(), HQ), BROKER)
    assert (state.runs, state.messages, dict(state.shovels)) == (runs, 9, {})
    assert (state.connections, state.most_connections) == (len(connections), 2)


@pytest.mark.parametrize("is_state", [True, False])
def test_shovel_to_a_broker_with_an_alarm_does_not_run(monkeypatch: pytest.MonkeyPatch, is_state: bool) -> None:
    held_up = {"tidegate-bridge-hq": "blocked", "tidegate-bridge-hq.receive": "flow"}
    shovels = [run(name, how if is_state else "running") | {"blocked_status": how} for name, how in held_up.items()]
    answer(monkeypatch, {"shovels": shovels, "queues": {"messages": 3}})
    (state,) = fetch_bridges(make_stack(Engine(), SITE), BROKER)
    assert state.reason == "its broker takes no messages, for want of disk or memory"
    assert dict(state.shovels) == {"to": "blocked", "from": "running"}


@pytest.mark.parametrize(
    ("messages", "consumers", "reason"),
    [
        (0, [0], ""),
        (3, [0], "holds 3 messages"),
        # A shovel lets go of it a moment after it was removed.
        (0, [1, 1, 0], ""),
        (0, [1] * 1000, "is consumed by the other place"),
    ],
)
def test_queue_goes_with_its_bridge_unless_it_is_of_use(
    monkeypatch: pytest.MonkeyPatch, messages: int, consumers: list[int], reason: str
) -> None:
    deleted = []

    class Channel:
        def queue_declare(self, _name: str, *, passive: bool) -> Any:
            assert passive
            return SimpleNamespace(method=SimpleNamespace(message_count=messages, consumer_count=consumers.pop(0)))

        def queue_delete(self, name: str) -> None:
            deleted.append(name)

    @contextmanager
    def connected(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(channel=Channel)

    monkeypatch.setattr(bridge, "connected", connected)
    monkeypatch.setattr(bridge, "_PATIENCE", 0.3)
    assert delete_empty_queue(BROKER, "tidegate-bridge-hq") == reason
    assert deleted == ([] if reason else ["tidegate-bridge-hq"])
