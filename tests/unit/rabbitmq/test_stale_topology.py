"""What older versions left at the broker, which here is a table."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from stack.docker.stack import Stack, open_stack
from stack.errors import BrokerError
from stack.plan.drift import Binding
from stack.rabbitmq import replacement as idle_queue
from stack.rabbitmq.management import Broker, RefusedError
from stack.rabbitmq.stale_topology import clear, clear_after_deploy
from stack.state.deployment import record_deployment
from stack.state.workspace import Workspace
from tests.unit.plan.test_leftover import rabbit

BINDING = Binding("q", "e", "a.*")


class Table:
    """Queues with their messages, and bindings, behind RabbitMQ's API."""

    def __init__(self, queues: dict[str, int], *bindings: Binding) -> None:
        self.queues, self.bindings, self.is_down = queues, list(bindings), False
        self.quorum: set[str] = set()

    def answer(self, method: str, path: str) -> object:
        if self.is_down:
            raise BrokerError("RabbitMQ does not answer.")
        parts = [unquote(part) for part in re.split(r"[/?]", path)[1:]]
        match [method, *parts]:
            case ["GET", "api", "queues", "disable_stats=true&enable_queue_totals=true"]:
                return [{"name": name, "messages": count} for name, count in self.queues.items()]
            case ["GET", "api", "queues", "/", queue, "bindings"]:
                ends = [one for one in self.bindings if one.queue == queue] + [Binding(queue, "", queue)]
                return [{"source": one.exchange, "routing_key": one.key, "properties_key": one.key} for one in ends]
            case ["DELETE", "api", "bindings", "/", "e", exchange, "q", queue, key]:
                self.bindings.remove(Binding(queue, exchange, key))
            case ["DELETE", "api", "queues", "/", queue, "if-empty=true&if-unused=true"]:
                if self.queues.get(queue) or queue in self.quorum:
                    raise RefusedError("no", 400 if queue.isascii() else 500)
                self.queues.pop(queue, None)
            case ["DELETE", "api", "queues", "/", queue]:
                self.queues.pop(queue, None)
            case _:
                raise AssertionError(parts)
        return None


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return open_stack(Workspace(tmp_path))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table({"q": 0, "other": 3}, BINDING, Binding("q", "e", "by.hand"), Binding("other", "e", "a.*"))
    monkeypatch.setattr(Broker, "request", lambda _, method, path: table.answer(method, path))
    monkeypatch.setattr(idle_queue, "_is_idle", lambda _broker, name: not table.queues.get(name))
    return table


def test_bindings_of_others_stay(stack: Stack, table: Table) -> None:
    clear(stack, {BINDING, Binding("q", "e", "never"), Binding("no queue", "e", "a")}, ())
    assert table.bindings == [Binding("q", "e", "by.hand"), Binding("other", "e", "a.*")]


def test_an_empty_queue_goes_with_those_of_its_failures(stack: Stack, table: Table) -> None:
    table.bindings.remove(Binding("q", "e", "by.hand"))
    table.queues |= {"q.dead": 1, "q.retry.1000ms": 0}
    clear(stack, {BINDING}, {"q"})
    assert table.queues == {"other": 3, "q.dead": 1}


def test_quorum_queues_go_too_which_know_no_condition(stack: Stack, table: Table) -> None:
    table.bindings.remove(Binding("q", "e", "by.hand"))
    table.queues |= {"q.dead": 1, "q.retry.1000ms": 0}
    table.quorum = {"q", "q.dead", "q.retry.1000ms"}
    clear(stack, {BINDING}, {"q"})
    assert table.queues == {"other": 3, "q.dead": 1}


def test_a_quorum_queue_whose_name_is_not_of_ascii_goes_too(stack: Stack, table: Table) -> None:
    table.queues |= {"Küche": 0}
    table.quorum = {"Küche"}
    clear(stack, (), {"Küche"})
    assert "Küche" not in table.queues


@pytest.mark.parametrize(
    ("queues", "told"),
    [
        ({"q": 1}, "holds 1 message."),
        ({"q": 2, "q.retry.1000ms": 1}, "holds 3 messages."),
        ({"q": 0, "q.retry.1000ms": 1}, "holds 1 message."),
    ],
)
def test_a_queue_that_holds_messages_stays_and_is_told(
    queues: dict[str, int], told: str, stack: Stack, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    table.bindings.remove(Binding("q", "e", "by.hand"))
    table.queues |= queues
    clear(stack, {BINDING}, {"q"})
    said = " ".join(capsys.readouterr().err.split())
    assert "No function consumes the queue q any more." in said
    assert told in said
    assert "http://127.0.0.1:9000/#/queues/%2F/q shows" in said
    assert table.queues["q"] == queues["q"]


def test_a_queue_that_somebody_bound_stays(stack: Stack, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    clear(stack, {BINDING}, {"q"})
    assert "q" in table.queues
    assert "bound by somebody else" in " ".join(capsys.readouterr().err.split())


def test_a_broker_that_is_down_is_a_warning(stack: Stack, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    table.is_down = True
    clear(stack, {BINDING}, {"q"})
    assert "of the queues q was not removed: RabbitMQ does not answer." in " ".join(capsys.readouterr().err.split())


def test_a_deploy_clears_what_versions_before_it_left(stack: Stack, table: Table) -> None:
    for number, plan in enumerate([rabbit("a.*", queue="older"), rabbit("a.*", queue="q"), rabbit("b", queue="other")]):
        record_deployment(stack.workspace, plan, image=f"image:{number}")
    table.bindings.remove(Binding("q", "e", "by.hand"))
    table.queues["older"] = 0
    table.bindings.append(Binding("older", "e", "a.*"))
    clear_after_deploy(stack, ["thermo"])
    assert table.queues == {"other": 3, "older": 0}
    assert table.bindings == [Binding("other", "e", "a.*")]


def test_a_deploy_that_changes_no_trigger_asks_no_one(stack: Stack, table: Table) -> None:
    table.is_down = True
    for number in range(2):
        record_deployment(stack.workspace, rabbit("a.*"), image=f"image:{number}")
    clear_after_deploy(stack, ["thermo"])
