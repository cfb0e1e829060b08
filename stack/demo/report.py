"""What the demo shows: each reading as it is answered, or a count of many; and at the end the verdict."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self

from stack import console
from stack.docker.stack import Stack
from stack.errors import name_command
from stack.plan.demo import EVENTS, Alert, Answer, Scoreboard, Verdict
from stack.plan.device import Reading, SendRequest, count_readings
from stack.plan.stack import is_nuclio
from stack.rabbitmq.management import find_broker
from stack.run.function_status import list_functions

# Lines a second that a person can follow.
_READABLE = 20.0


class Report(AbstractContextManager["Report"], Protocol):
    """Shows the demo; the context is the time while readings are sent."""

    def show_sent(self, reading: Reading) -> None:
        """Show a reading that goes out; each device calls from a thread of its own."""

    def show_answer(self, answer: Answer) -> None:
        """Show a reading that a function answered."""

    def show_alert(self, alert: Alert) -> None:
        """Show an alert."""

    def show_progress(self, scoreboard: Scoreboard) -> None:
        """Show how far it is."""

    def tell(self, verdict: Verdict, stack: Stack, names: Sequence[str], *, stays: bool) -> None:
        """Show the verdict, and where to look next."""


class SilentReport:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: nothing is open."""

    def show_sent(self, reading: Reading) -> None:
        """Show nothing."""

    def show_answer(self, answer: Answer) -> None:
        """Show nothing."""

    def show_alert(self, alert: Alert) -> None:
        """Show nothing."""

    def show_progress(self, scoreboard: Scoreboard) -> None:
        """Show nothing."""

    def tell(self, verdict: Verdict, stack: Stack, names: Sequence[str], *, stays: bool) -> None:
        """Show nothing."""


class CountReport(SilentReport):
    """Shows only counts: there are too many readings to follow."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._work = self._exit.enter_context(console.working(self._title))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def show_progress(self, scoreboard: Scoreboard) -> None:
        """Show how many are sent, and how many have feedback."""
        self._work.follow([f"{scoreboard.sent} of {scoreboard.total} sent, {scoreboard.handled} answered"])

    def tell(self, verdict: Verdict, stack: Stack, names: Sequence[str], *, stays: bool) -> None:
        """Show the verdict as a table, and the addresses."""
        _show_verdict(verdict)
        if stays:
            _show_addresses(stack, names)


class LineReport(CountReport):
    """Shows a line for each reading."""

    def __enter__(self) -> Self:
        console.say(f"{self._title}; each line is a reading that came back:")
        return self

    def show_answer(self, answer: Answer) -> None:
        """Show sensor, value, function and latency."""
        reading = answer.reading
        console.show(
            f"  {reading.sensor:<10} {reading.value:>6} °C   {answer.function:<14} {answer.latency * 1000:7.1f} ms"
        )

    def show_alert(self, alert: Alert) -> None:
        """Show what temperaturealert said."""
        console.output().print(
            f"  {alert.sensor:<10} {alert.average:>6.1f} °C   is {alert.state}, on average",
            style="yellow",
            markup=False,
        )

    def show_progress(self, scoreboard: Scoreboard) -> None:
        """Show nothing: the lines do."""


class JsonReport(CountReport):
    """Prints one JSON document, and nothing else on standard output."""

    def tell(self, verdict: Verdict, stack: Stack, names: Sequence[str], *, stays: bool) -> None:
        """Print the verdict."""
        console.show_json(verdict.document())


def open_report(order: SendRequest, *, as_json: bool) -> Report:
    """Return what suits the order: a person can follow only so many lines a second."""
    title = "Sending " + " and ".join(f"{count_readings(order.count)} over {one.upper()}" for one in order.protocols)
    if as_json:
        return JsonReport(title)
    return LineReport(title) if 0 < order.rate <= _READABLE else CountReport(title)


def _show_verdict(verdict: Verdict) -> None:
    latency, seconds = verdict.latency_ms, verdict.seconds
    rows = {
        "sent": count_readings(verdict.sent),
        "handled": f"{verdict.handled} have feedback",
        "logged": f"{verdict.logged} lines of feedback on iot/logs",
        "lost": str(verdict.lost),
        "alerts": f"{verdict.alerts} on iot/alerts",
        "latency": f"p50 {_format(latency['p50'])}, p99 {_format(latency['p99'])}",
        "time": f"images {seconds.images:.1f} s, up {seconds.up:.1f} s, deploy {seconds.deploy:.1f} s, "
        f"messages {seconds.messages:.1f} s",
    }
    console.show("")
    for name, text in rows.items():
        console.output().print(f"{name:<9}{text}", style=_colour(name, verdict), markup=False)


def _colour(name: str, verdict: Verdict) -> str:
    if name != "lost":
        return ""
    return "bold red" if verdict.lost else "bold green"


def _format(latency: float | None) -> str:
    return "-" if latency is None else f"{latency:.1f} ms"


def _show_addresses(stack: Stack, names: Sequence[str]) -> None:
    broker, settings = find_broker(stack), stack.settings
    addresses = {"RabbitMQ": broker.management_url}
    if not is_nuclio(settings):
        addresses["live page"] = f"http://{broker.host}:{settings.ports.dashboard}/demo"
    addresses |= {one.name: one.url for one in list_functions() if one.name in names and one.url}
    console.show("")
    for name, address in addresses.items():
        console.show(f"{name:<18}{address}")
    event = next(name for name in names if name in EVENTS.values())
    console.show("")
    feedback = f"Next: `invoke invoke-function {event} --body 30` sends a reading, `invoke logger` shows the feedback,"
    console.show(name_command(feedback))
    console.show(name_command("`invoke status` tells what runs, and `invoke down` stops it."))
    if not settings.data.is_kept:
        console.show("Readings are kept, drawn and watched where stack.yaml says so: docs/guides/readings.md.")
