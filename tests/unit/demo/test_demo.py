"""The end of a demo: when there is nothing to wait for, and what is said of it."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from stack.demo.demo import _judge, add_examples, choose_runtime, run_demo
from stack.demo.report import SilentReport
from stack.demo.run import DemoRun
from stack.demo.state import _judge as tell_verdict
from stack.errors import BrokerError, DemoError, StackError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.demo import Scoreboard
from stack.plan.device import AMQP, Reading, SendRequest
from stack.rabbitmq.management import Broker
from stack.state.workspace import Workspace


def make_scoreboard(*, total: int, sent: int, answered: int) -> Scoreboard:
    readings = [Reading(str(number), "sensor-1", "20.0") for number in range(total)]
    scoreboard = Scoreboard({AMQP: readings})
    for one in readings[:sent]:
        scoreboard.note_sent(one, 0.0)
    for one in readings[:answered]:
        scoreboard.note_feedback("Invoked Function amqpconsume on 20.0", one.identity, time=1.0)
    return scoreboard


def test_what_was_not_sent_is_a_failure_as_what_was_not_answered_is() -> None:
    _judge(make_scoreboard(total=20, sent=20, answered=20))
    with pytest.raises(DemoError) as error:
        _judge(make_scoreboard(total=20, sent=3, answered=2))
    unsent, missing = str(error.value).split("\n")
    assert unsent.startswith("17 of 20 readings were not sent: RabbitMQ took nothing for a while.")
    assert missing.startswith(
        "1 of 3 readings have no feedback (1 from amqpconsume). Look at `invoke logs amqpconsume`"
    )


def test_the_stage_tells_how_many_of_all_were_sent() -> None:
    assert tell_verdict(make_scoreboard(total=20, sent=20, answered=20)).startswith("20 readings sent")
    assert tell_verdict(make_scoreboard(total=20, sent=3, answered=3)).startswith("3 of 20 readings sent")


def test_a_runtime_is_written_where_another_one_stands(tmp_path: Path) -> None:
    for name, runtime in (("a", "python:3.12"), ("b", "nodejs:22")):
        (tmp_path / "functions" / name).mkdir(parents=True)
        (tmp_path / "functions" / name / "main.js").touch()
        (tmp_path / "functions" / name / "function.yaml").write_text(f"spec:\n  runtime: {runtime}\n  # mine\n")
    choose_runtime(Workspace(tmp_path), ("a", "b"), runtime="nodejs")
    assert (tmp_path / "functions/a/function.yaml").read_text() == "spec:\n  runtime: nodejs\n  # mine\n"
    assert (tmp_path / "functions/b/function.yaml").read_text() == "spec:\n  runtime: nodejs:22\n  # mine\n"
    before = (tmp_path / "functions/a/function.yaml").read_text()
    (tmp_path / "functions/a/main.py").touch()
    with pytest.raises(StackError, match=r"--runtime python: functions/b has no main\.py"):
        choose_runtime(Workspace(tmp_path), ("a", "b"), runtime="python")
    assert (tmp_path / "functions/a/function.yaml").read_text() == before


def test_a_runtime_that_is_none_is_told_first() -> None:
    with pytest.raises(StackError, match="--runtime go: should be python or nodejs"):
        run_demo(SendRequest(1, 0, AMQP, 1), runtime="go", down=False, as_json=False)


def test_a_workspace_without_the_example_gets_what_is_missing_of_it(tmp_path: Path) -> None:
    (tmp_path / "functions" / "amqpconsume").mkdir(parents=True)
    (tmp_path / "functions" / "amqpconsume" / "function.yaml").write_text("{}\n")
    (tmp_path / "functions" / "temperaturealert").mkdir()
    add_examples(Workspace(tmp_path), ("amqpconsume", "temperaturealert"))
    assert (tmp_path / "functions/amqpconsume/function.yaml").read_text() == "{}\n"
    assert {"main.py", "main.js"} < {path.name for path in (tmp_path / "functions/temperaturealert").iterdir()}


def test_a_device_that_fails_fails_the_demo() -> None:
    play = DemoRun(Broker("here", 1, 1, 1, GUEST_CREDENTIALS), SendRequest(1, 0, AMQP, 1), SilentReport())
    device: Future[Sequence[Reading]] = Future()
    device.set_exception(BrokerError("RabbitMQ does not answer."))
    with pytest.raises(BrokerError):
        play._is_over([device])
