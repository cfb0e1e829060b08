import asyncio
from pathlib import Path
from socket import gaierror

import pytest

from stack.demo.state import DEPLOYING, FAILED, IDLE, DemoRunner
from stack.docker.stack import open_stack
from stack.errors import ConflictError, FunctionError, StackError
from stack.plan.device import AMQP, SendRequest
from stack.run.catalogue import Catalogue
from stack.run.job import Jobs
from stack.state.workspace import VARIABLE, Workspace

_ORDER = SendRequest(count=10, rate=5, protocol=AMQP, sensors=1)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoRunner:
    """The stage of a workspace without functions."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: staged\n")
    (tmp_path / "functions").mkdir()
    workspace = Workspace(tmp_path)
    jobs = Jobs(workspace)
    return DemoRunner(lambda: open_stack(is_lenient=True), Catalogue(workspace, jobs), jobs)


def test_empty_stage_tells_the_threshold(stage: DemoRunner) -> None:
    scene = stage.describe()
    assert (scene["phase"], scene["threshold"], scene["points"]) == (IDLE, 25.0, [])


@pytest.mark.parametrize(
    "order",
    [
        SendRequest(2001, 5, AMQP, 1),
        SendRequest(10, 0, AMQP, 1),
        SendRequest(10, 201, AMQP, 1),
        SendRequest(10, 5, AMQP, 7),
    ],
    ids=["readings", "no rate", "rate", "sensors"],
)
def test_more_than_a_person_can_follow_is_refused(stage: DemoRunner, order: SendRequest) -> None:
    with pytest.raises(FunctionError, match="at most 2000 readings, 200 a second and 6 sensors"):
        stage.start(order)


def test_order_without_sense_is_refused(stage: DemoRunner) -> None:
    with pytest.raises(StackError, match="--protocol carrier-pigeon"):
        stage.start(SendRequest(10, 5, "carrier-pigeon", 1))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StackError("It cannot be."), "It cannot be."),
        (gaierror("no such name"), "The demo broke off; `invoke logs dashboard` tells why."),
    ],
)
def test_whatever_breaks_a_demo_off_ends_it(
    stage: DemoRunner, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    async def break_off(*_: object) -> None:
        raise error

    async def play() -> None:
        monkeypatch.setattr(stage, "_prepare", break_off)
        stage.start(_ORDER)
        await asyncio.sleep(0)

    asyncio.run(play())
    scene = stage.describe()
    assert (scene["phase"], scene["message"]) == (FAILED, message)


def test_second_demo_waits_for_the_first_whose_failure_is_told(stage: DemoRunner) -> None:
    async def play() -> None:
        stage.start(_ORDER)
        assert stage.describe()["phase"] == DEPLOYING
        with pytest.raises(ConflictError, match="stop it, or wait"):
            stage.start(_ORDER)
        while stage.is_running:
            await asyncio.sleep(0.01)

    asyncio.run(play())
    scene = stage.describe()
    assert scene["phase"] == FAILED
    assert scene["message"].startswith("There is no function 'amqpconsume'")
