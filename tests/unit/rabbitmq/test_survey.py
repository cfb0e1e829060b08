"""What is asked of a broker, which here is a table of answers, and what is told of it."""

from threading import Event
from typing import Any

import pytest

from stack.config.settings import Settings
from stack.errors import BrokerError
from stack.plan.definitions import read_definitions
from stack.plan.stack import plan_service
from stack.rabbitmq.drift import Declared, read_declared, survey_broker
from stack.rabbitmq.management import Broker, RefusedError
from tests.unit.plan.samples import make_plan, make_vault

BROKER = Broker("host", 1, 2, 3, None)  # type: ignore[arg-type]
DECLARED = Declared(read_definitions([{"vhosts": [{"name": "/"}], "users": [{"name": "ann"}]}]), ("taken",), ())


def answer(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    def request(_: Broker, _method: str, path: str, _document: object = None) -> Any:
        found = answers.get(path.split("/")[2].partition("?")[0], [])
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(Broker, "request", request)


def test_all_that_differs_is_one_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, definitions={"vhosts": [{"name": "/"}]}, queues=[{"name": "q.dead", "messages": 3}])
    survey = survey_broker(BROKER, lambda: DECLARED)
    assert [one.subject for one in survey.changes("admin")] == ["user ann", "queue taken"]
    (trouble,) = survey.all_troubles
    assert (trouble.subject, trouble.level) == ("user ann", "warn")
    assert trouble.what == "is missing at the broker. 1 more of the broker is not as declared."
    assert survey.messages == {"q.dead": 3}


@pytest.mark.parametrize(
    ("error", "is_locked"),
    [
        (BrokerError("RabbitMQ does not answer."), False),
        (RefusedError("no", 401), True),
        (RefusedError("no", 500), False),
    ],
)
def test_a_broker_that_says_nothing_is_a_finding(
    error: Exception, is_locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, definitions=error)
    survey = survey_broker(BROKER, lambda: DECLARED)
    assert (survey.problem, survey.is_locked) == (str(error), is_locked)
    assert [one.subject for one in survey.changes("admin")] == (["user admin"] if is_locked else [])


def test_what_deployed_functions_take_is_declared() -> None:
    triggers = {"t": {"kind": "rabbit-mq", "attributes": {"queueName": "taken"}}}
    plans = [(make_plan(name, triggers=triggers), name == "here") for name in ("here", "away")]
    services = [
        plan_service(plan, Settings(), image="i", vault=make_vault(), is_deployed=deployed) for plan, deployed in plans
    ]
    files = {"rabbitmq/definitions/10.json": b'{"users": [{"name": "ann"}]}', "compose.yaml": b"no JSON"}
    declared = read_declared(files, services)
    assert declared.taken == ("taken",)
    assert [*declared.definitions.things] == ["users"]
    assert read_declared(files, services[1:]).taken == ()


def test_what_is_declared_is_read_while_the_broker_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both take about a second with 10,000 devices, and `up` with nothing to do is to take less than two."""
    asked, has_read = Event(), Event()

    def request(_: Broker, _method: str, path: str, _document: object = None) -> Any:
        asked.set()
        if path == "/api/definitions":
            assert has_read.wait(10), "the answer was waited for first"
        return []

    def read() -> Declared:
        assert asked.wait(10), "the broker was not asked yet"
        has_read.set()
        return Declared(read_definitions([]), (), ())

    monkeypatch.setattr(Broker, "request", request)
    assert survey_broker(BROKER, read).problem == ""
