"""What the simulator may be asked for."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from stack.errors import BrokerError, StackError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.device import Reading, SendRequest
from stack.rabbitmq.management import Broker
from stack.rabbitmq.simulator import SimulationRequest, Simulator, check_simulation
from tests.unit.dashboard.serving import wait_until


@pytest.mark.parametrize(
    "simulation",
    [
        SimulationRequest("mqtt", 0, 1),
        SimulationRequest("mqtt", 51, 1),
        SimulationRequest("mqtt", 1, 0),
        SimulationRequest("mqtt", 1, 101),
        SimulationRequest("mqtt", 1, float("nan")),
        SimulationRequest("http", 1, 1),
    ],
)
def test_a_request_has_bounds(simulation: SimulationRequest) -> None:
    with pytest.raises(StackError):
        check_simulation(simulation)


def test_a_round_is_of_whole_waves() -> None:
    assert SimulationRequest("mqtt", 3, 2).order(10).count == 60
    assert SimulationRequest("mqtt", 3, 100).order(600).count == 10_020
    assert SimulationRequest("mqtt", 1, 0.1).order(10).count == 20


def test_a_broker_that_is_away_is_told_and_tried_until_it_is_stopped() -> None:
    def find() -> Broker:
        raise BrokerError("RabbitMQ does not answer.")

    simulator = Simulator(find)
    assert simulator.describe()["running"] is False
    simulator.start(SimulationRequest("both", 1, 1))
    with pytest.raises(StackError, match="runs already"):
        simulator.start(SimulationRequest("mqtt", 1, 1))
    assert simulator.describe()["running"] is True
    wait_until(lambda: bool(simulator.describe()["problem"]), what="the problem")
    simulator.stop()
    told = simulator.describe()
    assert (told["running"], told["sent"], told["problem"]) == (False, 0, "RabbitMQ does not answer.")


def test_what_no_one_took_is_counted_for_each_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    # Both protocols and the test, which stops them only then.
    all_three = threading.Barrier(3)

    def send(_: object, order: SendRequest, readings: Sequence[Reading], *, stop: threading.Event, **__: Any) -> Any:
        all_three.wait(10)
        if order.protocol == "amqp":
            stop.wait(0.05)
        stop.set()
        return readings[:3]

    monkeypatch.setattr("stack.rabbitmq.simulator.send", send)
    simulator = Simulator(lambda: Broker("here", 1, 1, 1, GUEST_CREDENTIALS))
    simulator.start(SimulationRequest("both", 1, 1))
    all_three.wait(10)
    simulator.stop()
    assert simulator.describe()["unheard"] == 6
