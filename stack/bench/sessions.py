"""A simulation: so many sessions of MQTT at the bed's broker, and what they cost beside what the model says."""

import sys
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import psutil

from stack import console
from stack.bench.environment import PROGRAMS, BenchEnv, FunctionSpec, amqp_trigger, run_processor
from stack.bench.events import open_channel, open_queue
from stack.bench.program import Count, Program, run_command, run_program
from stack.bench.scale import IDLE, Load, need_broker
from stack.config.value import memory_bytes
from stack.contract import MQTT_EXCHANGE
from stack.errors import StackError
from stack.plan.broker import MQTT_PORT, SERVICE

COLUMNS = ("figure", "model", "measured", "measured / model")
# How far the model may be off.
BOUND = 0.3
# Seconds that sessions are silent and that they publish, and until what was begun has settled.
_SILENT, _BUSY, _SETTLED = 30.0, 60.0, 10.0
# A keep-alive of a minute needs no more than this.
MOST_SECONDS = 45.0
# A machine has fewer than 28,300 ports for connections to one address.
MOST_SESSIONS = 25_000
# Logins a second of a slow machine.
_LOGINS = 50
_KEY = "bench.#"
# Files that the broker has open besides sessions.
_SPARE = 1000


@dataclass(frozen=True)
class Sample:
    """What the broker has used until now: seconds of a core, and MiB at present."""

    moment: float
    seconds: float
    mib: float

    def cores_since(self, before: "Sample") -> float:
        """Return how many cores were busy since another sample."""
        return (self.seconds - before.seconds) / (self.moment - before.moment)


@dataclass(frozen=True)
class Figure:
    """A figure as the model has it, and as it was measured."""

    name: str
    unit: str
    model: float
    measured: float

    @property
    def ratio(self) -> float:
        """Return how many times the model it is."""
        return self.measured / self.model

    @property
    def holds(self) -> bool:
        """Return whether the model is near enough."""
        return 1 - BOUND <= self.ratio <= 1 + BOUND

    def as_row(self) -> dict[str, str]:
        """Return its line of the table."""
        values = (f"{one:.3g} {self.unit}" for one in (self.model, self.measured))
        return dict(zip(COLUMNS, (self.name, *values, f"{self.ratio:.2f}"), strict=True))

    def describe(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {"figure": self.name, "unit": self.unit, "model": self.model, "measured": self.measured}


@dataclass(frozen=True)
class Samples:
    """What the broker has used before the sessions, when they were there, at the end of silence, and of publishing."""

    alone: Sample
    connected: Sample
    silent: Sample
    busy: Sample

    def compare(self, load: Load) -> tuple[Figure, ...]:
        """Return how far the model is from it."""
        expected, idle = need_broker(load), need_broker(load.be_silent())
        return (
            Figure(
                "memory of the broker, sessions alone", "MiB", idle.mib - IDLE.mib, self.silent.mib - self.alone.mib
            ),
            Figure("memory of the broker", "MiB", idle.mib, self.silent.mib),
            Figure("broker, silent sessions", "cores", idle.cores, self.silent.cores_since(self.connected)),
            Figure(f"broker, {load.rate:,.0f} messages/s", "cores", expected.cores, self.busy.cores_since(self.silent)),
        )


@dataclass(frozen=True)
class BrokerContainer:
    """The bed's broker, as this machine sees its container."""

    id: str
    host: str
    """Its address in Docker's network: no program in between takes a part of the cost."""
    process: psutil.Process

    def check_files(self, sessions: int) -> None:
        """Make sure that it may have so many connections.

        Raises:
            StackError: it may not.
        """
        most = int(run_command(["docker", "exec", self.id, "sh", "-c", "ulimit -n"]))
        if most < sessions + _SPARE:
            raise StackError(
                f"The broker may open {most} files, too few for {sessions} sessions: let Docker allow its containers "
                '"default-ulimits": {"nofile": …} in /etc/docker/daemon.json, or have fewer --sessions.'
            )

    def sample(self) -> Sample:
        """Return what it has used until now; its memory is what its control group counts."""
        usage = run_command(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", self.id]).split()[0]
        own = [self.process, *self.process.children(recursive=True)]
        seconds = sum(sum(one.cpu_times()[:2]) for one in own)
        # Docker writes `28.5MiB / 23.5GiB`, and quantities without the B are those of Kubernetes.
        return Sample(time.monotonic(), seconds, memory_bytes(usage.removesuffix("B")) / 2**20)


def simulate(env: BenchEnv, load: Load, *, as_json: bool) -> None:
    """Have so many sessions publish for a minute, and compare what they cost the broker with the model.

    Raises:
        StackError: the model is too far off, a message was not acknowledged, or a connection was lost.
    """
    figures = _measure(env, load).compare(load)
    if as_json:
        console.show_json(
            {"sessions": load.devices, "every": load.every, "figures": [one.describe() for one in figures]}
        )
    else:
        console.show_table(COLUMNS, [one.as_row() for one in figures])
    if wrong := [one.name for one in figures if not one.holds]:
        raise StackError(f"The model is more than {BOUND:.0%} off: {', '.join(wrong)}.")


def _measure(env: BenchEnv, load: Load) -> Samples:
    url, count = env.broker.amqp_url, Count(env.scratch / "count")
    with ExitStack() as stack:
        queue = stack.enter_context(open_queue(url))
        with open_channel(url) as channel:
            channel.queue_bind(queue, MQTT_EXCHANGE, _KEY)
        function = FunctionSpec("count", {"queue": amqp_trigger(url, queue)})
        stack.enter_context(run_processor(env, "function", function, **count.environment))
        broker = _find_broker(env)
        broker.check_files(load.devices)
        time.sleep(_SETTLED)
        alone = broker.sample()
        sessions = stack.enter_context(_start(env, broker, load=load))
        with console.working(f"Connecting {load.devices} sessions"):
            sessions.wait_for_line("connected", load.devices / _LOGINS + _SETTLED)
        time.sleep(_SETTLED)
        connected = broker.sample()
        with console.working("Watching them while they are silent"):
            sessions.wait_for_line("publishing", 2 * (_SILENT + _SETTLED))
        silent = broker.sample()
        with console.working(f"Watching {load.rate:,.0f} messages a second"):
            time.sleep(_BUSY - _SETTLED)
        busy = broker.sample()
        sessions.wait_for_line("done", 4 * _BUSY)
        _check_end(sessions.tell(), count)
    return Samples(alone, connected, silent, busy)


def _find_broker(env: BenchEnv) -> BrokerContainer:
    found = next(one for one in env.stack.engine.containers() if one.service == SERVICE).id
    template = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    pid, host, *_ = run_command(["docker", "inspect", "--format", template, found]).split()
    return BrokerContainer(found, host, psutil.Process(int(pid)))


def _start(env: BenchEnv, broker: BrokerContainer, *, load: Load) -> AbstractContextManager[Program]:
    login = env.broker.credentials
    numbers = (load.devices, _SETTLED + _SILENT, load.every, _BUSY)
    script = str(PROGRAMS / "mqtt_sessions.py")
    command = [sys.executable, script, broker.host, str(MQTT_PORT), login.username, *map(str, numbers)]
    password = login.password.get_secret_value()
    return run_program(command, env.scratch / "sessions.log", BENCH_PASSWORD=password)


def _check_end(said: str, count: Count) -> None:
    """Say how many messages there were.

    Raises:
        StackError: one was not acknowledged, or a session was lost.
    """
    sent, acknowledged, lost = map(int, said.split()[-3:])
    told = f"{sent} messages sent, {acknowledged} acknowledged, {count.read()} handled, {lost} connections lost."
    console.note(told)
    if acknowledged < sent or lost:
        raise StackError(f"The machine was too busy: {told}")
