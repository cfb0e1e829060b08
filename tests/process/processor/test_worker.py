"""What a handler sees of its worker: the environment, the context, the logs, the event loop."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, FUNCTIONS, wait_for


def test_environment_is_set_before_anything_of_the_user_is_imported(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "broker.password").write_text("s3cret")
    reference = {"secretKeyRef": {"name": "broker", "key": "password"}}
    env = [{"name": "PASSWORD", "valueFrom": reference}, {"name": "PLAIN", "value": 5}]
    processor = start("environment", folder=folder, env=env, description="tells", version=3)
    seen = json.loads(processor.ask().body)
    assert seen["at_import"] == "s3cret"
    assert seen["plain"] == "5"
    assert seen["nuclio"] == {
        "NUCLIO_FUNCTION_NAME": "tested",
        "NUCLIO_FUNCTION_DESCRIPTION": "tells",
        "NUCLIO_FUNCTION_VERSION": "3",
        "NUCLIO_FUNCTION_HANDLER": "main:handler",
        "NUCLIO_HANDLER": "main:handler",
    }
    assert seen["path"][0] == str(FUNCTIONS / "environment")
    assert seen["path"][1].split(":")[0] == seen["path"][0]
    assert seen["context"] == ["local", "nuclio", "http", "default-http"]


def test_secret_that_is_not_there_is_named(start: Start) -> None:
    reference = {"secretKeyRef": {"name": "broker", "key": "password"}}
    processor = start("environment", ready=False, env=[{"name": "PASSWORD", "valueFrom": reference}])
    assert processor.wait_for_end() == 1
    assert "spec.env[0].valueFrom.secretKeyRef: the secret" in processor.log
    assert "broker.password cannot be read" in processor.log


def test_handler_in_a_package_with_a_dashed_name(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "user" / "deep" / "my-module.py"
    module.parent.mkdir(parents=True)
    module.write_text("def entry(context, event):\n    return __name__\n")
    processor = start(str(tmp_path / "user"), handler="deep.my-module:entry")
    assert processor.ask().body == b"deep.my-module"


def test_async_handler_behind_a_decorator_is_awaited(start: Start) -> None:
    processor = start("async_handler", handler="main:decorated")
    assert processor.ask().body.isdigit()


def test_logs_are_nuclios_console_lines(start: Start) -> None:
    processor = start("logs")
    processor.ask()
    log = processor.wait_for_log("printed")
    stamp = r"^\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{3} "
    name = r"sor\.http\.w0\.python\.logger"
    assert re.search(stamp + rf"\(D\) {name} a debug line {{\"worker_id\":\"0\"}}$", log, re.M)
    fields = r'{"number":1,"text":"\\u00e9","worker_id":"0"}'
    assert re.search(stamp + rf"\(I\) {name} with fields {fields}$", log, re.M)
    assert re.search(stamp + rf"\(W\) {name} formatted text ", log, re.M)
    assert re.search(stamp + rf"\(E\) {name} an error ", log, re.M)
    assert re.search("^printed$", log, re.M)
    assert log.count("an error") == 1


def test_level_of_the_logs_is_that_of_the_sinks(start: Start) -> None:
    processor = start("logs", loggerSinks=[{"level": "warn"}])
    processor.ask()
    log = processor.wait_for_log("printed")
    assert "formatted text" in log
    assert "with fields" not in log


def test_errors_are_logged_with_their_traceback(start: Start) -> None:
    processor = start("answers")
    processor.ask("/fail")
    log = processor.wait_for_log("ValueError: it does not work")
    assert re.search(r'\(E\) sor\.http\.w0\.python\.logger Exception caught in handler {"exc":"it does not work"', log)


def test_async_handler_shares_its_loop_with_the_users_tasks(start: Start) -> None:
    processor = start("async_handler")
    first = int(processor.ask().body)
    # Of a loop that stands still between events there would be one tick or two each time.
    for _ in range(5):
        time.sleep(0.3)
        if (ticks := int(processor.ask().body) - first) > 15:
            break
    assert ticks > 15
    assert processor.ask("/fail").status == 500
    assert processor.ask().status == 200
    assert processor.stop() < AT_ONCE
    assert "stopped" in processor.log
    assert "never awaited" not in processor.log


def test_async_handlers_on_several_workers(start: Start) -> None:
    processor = start("async_handler", triggers={"web": {"kind": "http", "numWorkers": 2}})
    assert all(processor.ask().status == 200 for _ in range(10))
    wait_for(lambda: processor.health().status == 200)


def test_handler_of_a_package(start: Start, tmp_path: Path) -> None:
    package = tmp_path / "user" / "sensors"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from sensors.scale import read as handler\n")
    (package / "scale.py").write_text("def read(context, event):\n    return __name__\n")
    assert start(str(tmp_path / "user"), handler="sensors:handler").ask().body == b"sensors.scale"
    assert start(str(tmp_path / "user"), handler="sensors.scale:read").ask().body == b"sensors.scale"


@pytest.mark.parametrize("path", ["stack.py", "stack/__init__.py"])
def test_handler_of_a_module_called_as_the_processors_package(start: Start, tmp_path: Path, path: str) -> None:
    """What streams answers is imported after the user's module has taken the name."""
    module = tmp_path / "user" / path
    module.parent.mkdir(parents=True)
    module.write_text("import stack\ndef handler(context, event):\n    yield stack.__file__\n")
    processor = start(str(tmp_path / "user"), handler="stack:handler")
    assert processor.ask().body == str(module).encode()
    assert processor.health().status == 200


def test_callbacks_are_called_after_the_last_event(start: Start, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "async def drain():\n    print('drained')\n\n"
        "def init_context(context):\n    context.platform.set_drain_callback(drain)\n"
        "    context.platform.set_termination_callback(lambda: print('terminated'))\n\n"
        "def handler(context, event):\n    print('handled')\n"
    )
    processor = start(str(tmp_path))
    processor.ask()
    processor.stop()
    assert re.findall("handled|drained|terminated", processor.log) == ["handled", "drained", "terminated"]
