"""`invoke test-alerts`: alerts are tried by vmalert's own tool, on series that are written or were recorded."""

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import ceil
from pathlib import Path

from stack import console
from stack.config.alert import FOLDER, Alert, AlertTest, load_alerts
from stack.contract import parse_duration
from stack.docker.image import Builder
from stack.docker.rule import run_tool
from stack.docker.stack import Stack, open_stack
from stack.errors import AlertError
from stack.plan.alert import render_rules
from stack.plan.alert_test import TESTS, render_test
from stack.plan.stack_image import rule_test_image
from stack.plan.store import quote

# What the program is called in the registry's image; that of the package is in the path.
_TOOL = "/vmalert-tool-prod"
# A value that is not there, as vmalert-tool writes it.
_NONE = "_"


def run_alert_tests(name: str = "") -> int:
    """Run the tests of an alert, or of all; return the exit status, which is 1 where one has failed.

    Raises:
        AlertError: there is no such alert, none has tests, or what was recorded for one cannot be read.
        ConfigError: an alert is wrong, or stack.yaml keeps no readings.
        EngineError: Docker refused.
    """
    stack = open_stack()
    alerts = [one for one in load_alerts(stack.workspace.root) if name in ("", one.name)]
    if not alerts:
        raise AlertError(f"There is no alert {name}." if name else f"There are no alerts; they are files in {FOLDER}/.")
    tested = [one for one in alerts if one.config.tests]
    if not tested:
        raise AlertError(f"There are no tests. They stand in `tests` of {alerts[0].document}.")
    # Refuses those that have no readings to look at: there is no image for them then.
    render_rules(alerts, stack.settings)
    Builder(stack.workspace, stack.engine, stack.bare_inputs).prepare_alerts(has_tests=True)
    return max([_run(stack, alert) for alert in tested])


def _run(stack: Stack, alert: Alert) -> int:
    tool = _TOOL if stack.base_images.is_registry else "vmalert-tool"
    command = (tool, "unittest", f"--files={TESTS}")
    recorded = {
        one.recorded: load_recorded(stack.workspace.root / FOLDER / one.recorded, one)
        for one in alert.config.tests
        if one.recorded
    }
    files = render_test(alert, stack.settings.data, recorded=recorded)
    status, output = run_tool(stack.settings.project, rule_test_image(stack.bare_inputs), command=command, files=files)
    if status:
        console.warn(f"{alert.name}: {output}")
    else:
        console.success(f"{alert.name}: {len(alert.config.tests)} passed.")
    return int(bool(status))


def load_recorded(path: Path, test: AlertTest) -> dict[str, str]:
    """Return the series of a file that `invoke readings --format csv` has written, as tests have them.

    Raises:
        AlertError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return write_recorded(csv.DictReader(file), parse_duration(test.every))
    except (OSError, csv.Error, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        way = f"`invoke readings METRIC --since 12h --format csv --output {FOLDER}/{path.name}` writes one"
        raise AlertError(f"{FOLDER}/{path.name} is no file of readings: {error}; {way}.") from None


def write_recorded(rows: Iterable[Mapping[str, str]], step: float) -> dict[str, str]:
    """Return series by their values at each step since the first reading of all: the last one that had come then."""
    found: dict[str, dict[float, str]] = {}
    for row in rows:
        labels = ", ".join(f"{name}={quote(text)}" for name, text in json.loads(row["labels"]).items())
        moment = datetime.fromisoformat(row["time"]).timestamp()
        found.setdefault(f"{row['metric']}{{{labels}}}", {})[moment] = f"{Decimal(row['value']):f}"
    start = min((moment for values in found.values() for moment in values), default=0.0)
    return {series: _write_values(values, start, step=step) for series, values in found.items()}


def _write_values(values: Mapping[float, str], start: float, *, step: float) -> str:
    slots = {ceil((moment - start) / step): values[moment] for moment in sorted(values)}
    return " ".join(slots.get(number, _NONE) for number in range(max(slots) + 1))
