"""Which queues go with a function."""

from pathlib import Path

import pytest

from stack.docker.stack import open_stack
from stack.plan.broker import GUEST_CREDENTIALS, SERVICE
from stack.rabbitmq.management import Broker, Depth, _belongs, find_broker
from stack.state.workspace import PLACE_VARIABLE, STACK, Workspace


@pytest.mark.parametrize(
    ("queue", "messages", "belongs"),
    [
        ("q", 5, True),
        ("q.retry.1000ms", 1, True),
        ("q.dead", 0, True),
        ("q.dead", 1, False),
        ("q2", 0, False),
        ("q2.retry.1000ms", 0, False),
        ("x.q", 0, False),
    ],
)
def test_queues_of_retries_go_and_dead_letters_stay(queue: str, messages: int, belongs: bool) -> None:
    assert _belongs(queue, messages, ["q"]) is belongs


def test_containers_of_the_stack_find_the_broker_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.yaml").write_text("bind: 0.0.0.0\nports: {amqp: 7001}\n")
    stack = open_stack(Workspace(tmp_path))
    broker = find_broker(stack)
    assert (broker.host, broker.amqp_port) == ("127.0.0.1", 7001)
    monkeypatch.setenv(PLACE_VARIABLE, STACK)
    broker = find_broker(stack)
    assert (broker.host, broker.amqp_port) == (SERVICE, 5672)


def test_queues_are_asked_for_until_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"q{number}" for number in range(1201)]

    def answer(_: Broker, method: str, path: str) -> dict[str, object]:
        page = int(path.split("page=")[1].split("&")[0])
        items = [{"name": name, "messages": 1} for name in names[(page - 1) * 500 : page * 500]]
        return {"items": items, "page_count": 3, "page": page}

    monkeypatch.setattr(Broker, "request", answer)
    depths = Broker("here", 1, 1, 1, GUEST_CREDENTIALS).depths()
    assert list(depths) == names
    assert depths["q1200"] == Depth(1, 0.0)
