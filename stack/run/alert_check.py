"""Alerts and channels as their own programs read them, before those that run are given them; and their tests."""

import re
from collections.abc import Iterator
from dataclasses import replace

from stack import console
from stack.config.alert import FOLDER, Alert, load_alerts
from stack.docker.image import Builder
from stack.docker.rule import run_tool
from stack.docker.stack import Stack, open_stack
from stack.errors import AlertError, ConfigError
from stack.plan.alert import RULES, render_rules
from stack.plan.alert import SERVICE as VMALERT
from stack.plan.alert_test import TESTS, render_test
from stack.plan.notify import CONFIG, MESSAGES
from stack.plan.render import Files, alertmanager_image, rule_test_image, vmalert_image

# What the programs are called in the registry's images; those of packages are in the path.
_VMALERT, _TOOL = "/vmalert-prod", "/vmalert-tool-prod"
# What each of them reads.
_READ = ((RULES,), (CONFIG, MESSAGES))
_FATAL = re.compile(r"(?:fatal|panic)\s+\S+\s+(?P<text>.*)")
_GROUP = re.compile(r'invalid group "(?P<group>[^"]+)" in file "[^"]*": (?P<reason>.*)')


def check_rules(stack: Stack, files: Files) -> None:
    """Make sure that vmalert and Alertmanager can read what is rendered for them, where that is new to them.

    Raises:
        ConfigError: they cannot.
        EngineError: Docker refused.
    """
    changed = [paths for paths in _READ if any(_read(stack, one) != files[one] for one in paths if one in files)]
    if not changed:
        return
    Builder(stack.workspace, stack.engine, stack.bare_inputs).prepare_alerts()
    for paths in changed:
        own = {path.rpartition("/")[2]: files[path] for path in paths}
        _check_alerts(stack, own) if RULES in paths else _check_notify(stack, own)


def check_alert(stack: Stack, alert: Alert) -> None:
    """Make sure that vmalert could read an alert that is not saved yet.

    Raises:
        ConfigError: it could not, or there are no readings to look at.
        EngineError: Docker refused.
    """
    files, inputs = render_rules([alert], stack.settings), replace(stack.bare_inputs, alerts=(alert,))
    Builder(stack.workspace, stack.engine, inputs).prepare_alerts()
    _check_alerts(stack, {RULES.rpartition("/")[2]: files[RULES]})


def _read(stack: Stack, path: str) -> bytes:
    file = stack.workspace.rendered / path
    return file.read_bytes() if file.is_file() else b""


def _check_alerts(stack: Stack, files: Files) -> None:
    is_registry = stack.base_images.is_registry
    command = (_VMALERT if is_registry else VMALERT, "-dryRun", f"-rule={next(iter(files))}")
    status, output = run_tool(stack.settings.project, vmalert_image(stack.bare_inputs), command, files)
    if status:
        raise ConfigError(list(_explain(output)))


def _explain(output: str) -> Iterator[str]:
    """Yield what vmalert says of each group, by the name of its file."""
    text = found["text"] if (found := _FATAL.search(output)) else output
    for part in text.split("; "):
        group = _GROUP.search(part)
        yield f"{FOLDER}/{group['group']}.yaml: {group['reason']}" if group else f"{FOLDER}/: {part}"


def _check_notify(stack: Stack, files: Files) -> None:
    command = ("amtool", "check-config", CONFIG.rpartition("/")[2])
    status, output = run_tool(stack.settings.project, alertmanager_image(stack.bare_inputs), command, files)
    if status:
        raise ConfigError([f"stack.yaml: notify: {output.removeprefix('Checking ')}"])


def run_alert_tests(name: str = "") -> int:
    """Run the tests of an alert, or of all; return the exit status, which is 1 where one has failed.

    Raises:
        AlertError: there is no such alert, or none has tests.
        ConfigError: an alert is wrong.
        EngineError: Docker refused.
    """
    stack = open_stack()
    alerts = [one for one in load_alerts(stack.workspace.root) if name in ("", one.name)]
    if not alerts:
        raise AlertError(f"There is no alert {name}." if name else f"There are no alerts; they are files in {FOLDER}/.")
    tested = [one for one in alerts if one.config.tests]
    if not tested:
        raise AlertError(f"There are no tests. They stand in `tests` of {alerts[0].document}.")
    Builder(stack.workspace, stack.engine, stack.bare_inputs).prepare_alerts(has_tests=True)
    return max([_run(stack, alert) for alert in tested])


def _run(stack: Stack, alert: Alert) -> int:
    tool = _TOOL if stack.base_images.is_registry else "vmalert-tool"
    command = (tool, "unittest", f"--files={TESTS}")
    files = render_test(alert, stack.settings.data)
    status, output = run_tool(stack.settings.project, rule_test_image(stack.bare_inputs), command, files)
    if status:
        console.warn(f"{alert.name}: {output}")
    else:
        console.success(f"{alert.name}: {len(alert.config.tests)} passed.")
    return int(bool(status))
