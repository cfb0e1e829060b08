"""The tutorial's temperature example from end to end: stack, functions, readings, and a verdict."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stack import console
from stack.config.runtime import RUNTIMES, name_runtime
from stack.config.source import FILE, FOLDER, IGNORED_FOLDERS, find_folder, function_folders, load_function
from stack.config.yaml_edit import set_value
from stack.demo.report import open_report
from stack.demo.run import DemoRun
from stack.docker.stack import Stack
from stack.errors import DemoError, StackError
from stack.plan.broker import SERVICE
from stack.plan.demo import ALERT, CONSUMERS, EVENTS, Scoreboard, Seconds
from stack.plan.device import AMQP, BOTH, MQTT, SendRequest, check_request
from stack.plan.function import own_queues
from stack.plan.runtime.registry import find_runtime
from stack.rabbitmq.management import find_broker
from stack.run.deploy import deploy_functions
from stack.run.function import build_functions
from stack.run.stack import take_down
from stack.run.up import bring_up, prepare_images
from stack.state.deployment import load_deployments
from stack.state.workspace import PROGRAM, Workspace, open_workspace, write_file


def run_demo(order: SendRequest, *, runtime: str = "", down: bool, as_json: bool) -> None:
    """Bring everything up, send readings, and tell what became of each.

    With `runtime` the functions are of that one from now on; else they are as their function.yaml says.

    Raises:
        DemoError: a reading was not sent, or has no feedback.
        StackError: an option is wrong, or the stack or a function does not come up.
    """
    check_request(order, (AMQP, MQTT, BOTH))
    if runtime and runtime not in RUNTIMES:
        raise StackError(f"--runtime {runtime}: should be {' or '.join(RUNTIMES)}.")
    names = [*map(CONSUMERS.__getitem__, order.protocols), *map(EVENTS.__getitem__, order.protocols), ALERT]
    workspace = open_workspace()
    add_examples(workspace, names)
    if runtime:
        choose_runtime(workspace, names, runtime=runtime)
    watch = Watch()
    stack = _prepare(names, watch)
    try:
        report = open_report(order, as_json=as_json)
        run = DemoRun(find_broker(stack), order, report)
        scoreboard = run.run(find_alert_queues(stack), watch)
        report.tell(scoreboard.verdict(watch.seconds()), stack, names, stays=not down)
        _judge(scoreboard)
    finally:
        if down:
            take_down(volumes=False)


def add_examples(workspace: Workspace, names: Sequence[str]) -> None:
    """Write those functions of the example that are not in functions/, as Tidegate's own folder has them."""
    there = function_folders(workspace.root)
    for name in names:
        source = PROGRAM / FOLDER / name
        if name not in there and source.is_dir() and workspace.root != PROGRAM:
            ignored = shutil.ignore_patterns(*IGNORED_FOLDERS)
            shutil.copytree(source, workspace.root / FOLDER / name, ignore=ignored, dirs_exist_ok=True)
            console.note(f"{FOLDER}/{name}: written, as Tidegate's example has it.")


def choose_runtime(workspace: Workspace, names: Sequence[str], *, runtime: str) -> None:
    """Write a runtime into the function.yaml of functions that have another one, whatever its version.

    Raises:
        StackError: there is no such function, or one has no handler of that runtime; nothing is written then.
    """
    folders = [find_folder(workspace.root, name) for name in names]
    others = [one for one in folders if name_runtime(load_function(one).config.spec.runtime) != runtime]
    for folder in others:
        for path in (FILE, find_runtime(runtime).source):
            if not (folder / path).is_file():
                raise StackError(
                    f"--runtime {runtime}: {FOLDER}/{folder.name} has no {path}; it is no function of the example. "
                    "Without --runtime the demo takes it as it is."
                )
    for folder in others:
        text = set_value((folder / FILE).read_text(), ("spec", "runtime"), runtime)
        write_file(folder / FILE, text.encode())
        console.note(f"{FOLDER}/{folder.name}/{FILE}: its runtime is {runtime} now.")


class Watch:
    """Measures the parts of a demo."""

    def __init__(self) -> None:
        self._parts = {"images": 0.0, "up": 0.0, "deploy": 0.0, "messages": 0.0}

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time that the block takes to a part."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._parts[part] += time.monotonic() - start

    def seconds(self) -> Seconds:
        """Return what was measured."""
        return Seconds(**self._parts)


def _prepare(names: Sequence[str], watch: Watch) -> Stack:
    """Bring the stack and the functions up; the functions' images are built while the broker starts."""
    with watch.measure("images"):
        prepare_images()
    with watch.measure("up"):
        stack = bring_up(meanwhile=lambda stack: build_functions(stack, names))
    with watch.measure("deploy"):
        deploy_functions(names)
    return stack


def find_alert_queues(stack: Stack) -> tuple[str, ...]:
    """Return the queues that feed the alerts: when they are empty, no alert is to come any more."""
    return own_queues(load_deployments(stack.workspace)[ALERT].plan(stack.settings))


def _judge(scoreboard: Scoreboard) -> None:
    """Complain of readings that were not sent, and of those that have no feedback.

    Raises:
        DemoError: there are some.
    """
    problems = [problem for problem in (_explain_unsent(scoreboard), _explain_missing(scoreboard)) if problem]
    if problems:
        raise DemoError("\n".join(problems))


def _explain_unsent(scoreboard: Scoreboard) -> str:
    unsent = scoreboard.total - scoreboard.sent
    if not unsent:
        return ""
    why = f"RabbitMQ took nothing for a while. Look at `invoke status` and `invoke logs {SERVICE}`, then try again."
    return f"{unsent} of {scoreboard.total} readings were not sent: {why}"


def _explain_missing(scoreboard: Scoreboard) -> str:
    missing = scoreboard.missing()
    if not missing:
        return ""
    owed = " and ".join(f"{count} from {function}" for function, count in missing.items())
    logs = " and ".join(f"`invoke logs {function}`" for function in missing)
    return (
        f"{sum(missing.values())} of {scoreboard.sent} readings have no feedback ({owed}). Look at {logs}; "
        "a restart of the broker, or another consumer of iot/logs, takes feedback away too."
    )
