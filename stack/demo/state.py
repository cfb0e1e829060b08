"""The demo for those who look on: one run at a time, and what there is to see of it."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from stack import console
from stack.demo.demo import find_alert_queues
from stack.demo.report import SilentReport
from stack.demo.run import DemoRun
from stack.docker.stack import Stack
from stack.errors import ConflictError, FunctionError, StackError
from stack.plan.demo import ALERT, CONSUMERS, Alert, Answer, Scoreboard, Seconds
from stack.plan.device import AMQP, BOTH, MQTT, Reading, SendRequest, check_request, count_readings
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.simulator import Simulator
from stack.run.catalogue import Catalogue
from stack.run.job import Jobs

# A person can follow no more, and a browser's chart neither.
_MOST_READINGS, _FASTEST, _MOST_SENSORS = 2000, 200.0, 6
_POINTS, _LINES = 600, 60
# Degrees Celsius, where temperaturealert does not say otherwise.
_THRESHOLD = 25.0

IDLE, DEPLOYING, RUNNING, DONE, FAILED = "idle", "deploying", "playing", "done", "failed"


@dataclass
class DemoState:
    """What there is to see: counts, readings as [time, sensor, degrees], and the latest answers and alerts first."""

    phase: str = IDLE
    message: str = ""
    total: int = 0
    sent: int = 0
    handled: int = 0
    logged: int = 0
    lost: int = 0
    p50: float | None = None
    p99: float | None = None
    alert_count: int = 0
    points: deque[tuple[float, str, float]] = field(default_factory=lambda: deque(maxlen=_POINTS))
    answers: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LINES))
    alerts: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LINES))

    @property
    def is_running(self) -> bool:
        """Return whether there is more to come."""
        return self.phase in (DEPLOYING, RUNNING)


class StateReport(SilentReport):
    """Writes what happens into the state; devices and the listener call from threads of their own."""

    def __init__(self, state: DemoState, lock: threading.Lock) -> None:
        self._state = state
        self._lock = lock

    def show_sent(self, reading: Reading) -> None:
        """Add a point."""
        with self._lock:
            self._state.points.append((round(time.time(), 2), reading.sensor, float(reading.value)))

    def show_answer(self, answer: Answer) -> None:
        """Add a line of feedback."""
        line = {"sensor": answer.reading.sensor, "value": answer.reading.value, "function": answer.function}
        with self._lock:
            self._state.answers.appendleft(
                {"time": round(time.time(), 2), **line, "latency": round(answer.latency * 1000, 1)}
            )

    def show_alert(self, alert: Alert) -> None:
        """Add an alert."""
        with self._lock:
            self._state.alerts.appendleft({"time": round(time.time(), 2), **asdict(alert)})

    def show_progress(self, scoreboard: Scoreboard) -> None:
        """Count."""
        with self._lock:
            _count(self._state, scoreboard)


class DemoRunner:
    """Runs the demo on the stack that is up; those who watch ask for its state."""

    def __init__(self, stack: Callable[[], Stack], catalogue: Catalogue, jobs: Jobs) -> None:
        self._open_stack = stack
        self._catalogue = catalogue
        self._jobs = jobs
        self._state = DemoState()
        self._lock = threading.Lock()
        self._run_in_progress: DemoRun | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Return whether a demo is on."""
        return self._state.is_running

    def start(self, order: SendRequest) -> None:
        """Begin; functions that are not deployed are deployed first.

        Raises:
            ConflictError: a demo is on.
            StackError: the order makes no sense.
        """
        check_request(order, (AMQP, MQTT, BOTH))
        if order.count > _MOST_READINGS or not 0 < order.rate <= _FASTEST or order.sensors > _MOST_SENSORS:
            limits = f"{_MOST_READINGS} readings, {_FASTEST:g} a second and {_MOST_SENSORS} sensors"
            raise FunctionError(f"The demo shows at most {limits}; `invoke demo` sends more.")
        if self.is_running:
            raise ConflictError("The demo is on; stop it, or wait for its end.")
        self._state = DemoState(DEPLOYING, total=order.count * len(order.protocols))
        self._task = asyncio.create_task(self._run(order, self._state), name="demo")

    def stop(self) -> None:
        """Send no more; what was sent is waited for."""
        if self._run_in_progress:
            self._run_in_progress.stop()

    async def close(self) -> None:
        """End at once."""
        self.stop()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def describe(self) -> dict[str, Any]:
        """Return the state, with lists in the place of deques, and the threshold."""
        with self._lock:
            document = asdict(self._state)
        lists = {name: list(value) for name, value in document.items() if isinstance(value, deque)}
        return {**document, **lists, "threshold": self._find_threshold()}

    async def _run(self, order: SendRequest, state: DemoState) -> None:
        try:
            await self._prepare([*(CONSUMERS[one] for one in order.protocols), ALERT], state)
            state.phase, state.message = RUNNING, ""
            await asyncio.to_thread(self._show, order, state)
        except StackError as error:
            state.phase, state.message = FAILED, str(error)
        except asyncio.CancelledError:
            state.phase, state.message = FAILED, "The dashboard ended meanwhile."
            raise
        except Exception as error:
            # Whatever it is, no one may wait for the end of what has ended.
            console.warn(f"The demo broke off: {error!r}")
            state.phase, state.message = FAILED, "The demo broke off; `invoke logs dashboard` tells why."
        finally:
            self._run_in_progress = None

    async def _prepare(self, names: Sequence[str], state: DemoState) -> None:
        """Deploy what is not deployed yet.

        Raises:
            FunctionError: there is no such function, or it cannot be deployed.
        """
        records = [await asyncio.to_thread(self._catalogue.find, name) for name in names]
        missing = [one.name for one in records if not one.is_deployed]
        state.message = f"Deploying {', '.join(missing)} first; that takes a moment." if missing else ""
        jobs = [await self._jobs.deploy(name, message="for the demo") for name in missing]
        for name, job in zip(missing, jobs, strict=True):
            if reason := await job.wait():
                raise FunctionError(f"{name} cannot be deployed: {reason}")

    def _show(self, order: SendRequest, state: DemoState) -> None:
        stack = self._open_stack()
        self._run_in_progress = DemoRun(find_broker(stack), order, StateReport(state, self._lock))
        scoreboard = self._run_in_progress.run(find_alert_queues(stack), _Unmeasured())
        verdict = scoreboard.verdict(Seconds(0, 0, 0, 0))
        with self._lock:
            _count(state, scoreboard)
            state.lost, state.p50, state.p99 = verdict.lost, verdict.latency_ms["p50"], verdict.latency_ms["p99"]
            state.phase, state.message = DONE, _judge(scoreboard)

    def _find_threshold(self) -> float:
        try:
            config = self._catalogue.find(ALERT).config
            return next((float(str(one.value)) for one in config.spec.env if one.name == "THRESHOLD"), _THRESHOLD)
        except (StackError, ValueError):
            return _THRESHOLD


class _Unmeasured:
    def measure(self, part: str) -> AbstractContextManager[None]:
        """Measure nothing: no one asks how long the parts took."""
        return nullcontext()


def _count(state: DemoState, scoreboard: Scoreboard) -> None:
    state.sent, state.handled, state.logged = scoreboard.sent, scoreboard.handled, scoreboard.logged
    state.alert_count = scoreboard.alerts


def _judge(scoreboard: Scoreboard) -> str:
    if not scoreboard.owed:
        part = f"{scoreboard.sent} of " if scoreboard.sent < scoreboard.total else ""
        return f"{part}{count_readings(scoreboard.total)} sent, and each was answered."
    owed = ", ".join(f"{count} from {function}" for function, count in scoreboard.missing().items())
    return (
        f"{scoreboard.owed} of {scoreboard.sent} readings have no feedback: {owed}. The functions' logs may tell why."
    )


# Seconds between two looks, while a demo is on and while none is.
_RUNNING, _IDLE = 1.0, 30.0


class DemoSource:
    """What there is to see of the demo."""

    def __init__(self, runner: DemoRunner) -> None:
        self.pause = _IDLE
        self._runner = runner

    async def look(self) -> dict[str, Any]:
        """Return the state."""
        # Asked before, so that the end of the demo is seen too.
        self.pause = _RUNNING if self._runner.is_running else _IDLE
        return await asyncio.to_thread(self._runner.describe)

    async def rest(self) -> None:
        """Do nothing: nothing is open."""


_PAUSE = 1.0


class SimulatorSource:
    """What the simulator says of itself."""

    pause = _PAUSE

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def look(self) -> dict[str, Any]:
        """Return whether it runs, since when, and how many readings it has sent."""
        return self._simulator.describe()

    async def rest(self) -> None:
        """Do nothing: nothing is open."""
