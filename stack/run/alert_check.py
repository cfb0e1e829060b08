"""Alerts and channels as their own programs read them, before those that run are given them."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from stack.config.alert import FOLDER, Alert
from stack.docker.image import Builder
from stack.docker.rule import run_tool
from stack.docker.stack import Stack
from stack.errors import ConfigError
from stack.plan.alert import RULES, SEEN, render_rules
from stack.plan.alert import SERVICE as VMALERT
from stack.plan.notify import CONFIG, MESSAGES
from stack.plan.stack_image import alertmanager_image, vmalert_image
from stack.plan.template import Files

# What the program is called in the registry's image; that of the package is in the path.
_VMALERT = "/vmalert-prod"
# What each of them reads.
_READ = ((RULES,), (CONFIG, MESSAGES))
_CHECKED = tuple(path for paths in _READ for path in paths)
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


def keep_checked(stack: Stack, files: Files, *, new: Collection[str] = ()) -> Files:
    """Return files with those of alerts and channels, other than new ones, as `up` has checked and written them.

    What `up` has not written yet is left out: it would count as checked.
    """
    there = {path: _read(stack, path) for path in _CHECKED if path in files and path not in new}
    others = {path: content for path, content in files.items() if path not in there}
    return others | {path: content for path, content in there.items() if content}


def _read(stack: Stack, path: str) -> bytes:
    file = stack.workspace.rendered / path
    return file.read_bytes() if file.is_file() else b""


def _check_alerts(stack: Stack, files: Files) -> None:
    is_registry = stack.base_images.is_registry
    command = (_VMALERT if is_registry else VMALERT, "-dryRun", f"-rule={next(iter(files))}")
    status, output = run_tool(stack.settings.project, vmalert_image(stack.bare_inputs), command=command, files=files)
    if status:
        raise ConfigError(list(_explain(output)))


def _explain(output: str) -> Iterator[str]:
    """Yield what vmalert says of each group, by the name of its file."""
    groups = list(_GROUP.finditer(output))
    for group in groups:
        yield f"{FOLDER}/{group['group'].removesuffix(SEEN)}.yaml: {group['reason']}"
    if not groups:
        yield f"{FOLDER}/: {found['text'] if (found := _FATAL.search(output)) else output}"


def _check_notify(stack: Stack, files: Files) -> None:
    command = ("amtool", "check-config", CONFIG.rpartition("/")[2])
    status, output = run_tool(
        stack.settings.project, alertmanager_image(stack.bare_inputs), command=command, files=files
    )
    if status:
        raise ConfigError([f"stack.yaml: notify: {output.removeprefix('Checking ')}"])
