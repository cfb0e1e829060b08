"""What a function's author tests with."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import nuclio_sdk
import pytest

from stack.processor.testing import HandlerRunner, invoke, make_event, open_context
from tests.process.processor.running import ROOT

CALLS: list[str] = []


def init_context(context: Any) -> None:
    CALLS.append("init")
    context.user_data.greeting = "good morning"


def greet(context: Any, event: Any) -> Any:
    return {"greeting": context.user_data.greeting, "path": event.path, "fields": event.fields}


async def double(context: Any, event: Any) -> Any:
    await asyncio.sleep(0)
    return context.Response(body=event.body["n"] * 2, status_code=201, headers={"X-A": 1})


def fail(context: Any, event: Any) -> Any:
    raise ValueError("as asked")


def count(context: Any, event: Any) -> Any:
    yield from ("1", "2", "3")


def log(context: Any, event: Any) -> Any:
    context.logger.info_with("seen", trigger=event.trigger.kind)
    return event.body


def test_event_in_response_out() -> None:
    event = nuclio_sdk.Event(body=b"x", path="/a", fields={"b": "1"})
    response = invoke(greet, event)
    assert isinstance(response, nuclio_sdk.Response)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.body == {"greeting": "good morning", "path": "/a", "fields": {"b": "1"}}


def test_init_context_is_called_once_for_a_handler() -> None:
    CALLS.clear()

    def own(context: Any, event: Any) -> str:
        return str(context.user_data.greeting)

    assert [invoke(own).body for _ in range(3)] == [b"good morning"] * 3
    assert CALLS == ["init"]


def test_context_of_the_tests_own_is_not_prepared() -> None:
    context = open_context("plant")
    context.user_data.greeting = "mocked"
    assert invoke(greet, context=context).body["greeting"] == "mocked"
    assert (context.platform.kind, context.platform.namespace) == ("local", "plant")


def test_async_handler_and_a_json_body() -> None:
    response = invoke(double, body={"n": 21})
    assert (response.status_code, response.body, response.headers) == (201, b"42", {"X-A": "1"})


def test_exception_is_the_500_that_a_client_gets_or_is_raised() -> None:
    response = invoke(fail)
    assert response.status_code == 500
    assert b'Exception caught in handler - "as asked"' in response.body
    with pytest.raises(ValueError, match="as asked"):
        invoke(fail, raises=True)


def test_stream_is_collected() -> None:
    assert invoke(count).body == b"123"


def test_logs_go_to_the_tests_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(log, body="text").body == b"text"
    assert 'seen {"trigger":"http","worker_id":"0"}' in capsys.readouterr().out


def test_logs_go_to_the_next_tests_output(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(log)
    assert "seen" in capsys.readouterr().out


def test_event_is_that_of_a_request() -> None:
    event = make_event({"n": 1}, headers={"X-A": "b"}, id="7")
    assert (event.body, event.content_type, event.method, event.size) == ({"n": 1}, "application/json", "POST", 8)
    assert (event.id, event.path, event.headers, event.trigger.kind) == ("7", "/", {"X-A": "b"}, "http")
    assert make_event().method == "GET"


def test_attribute_that_no_event_has_is_named() -> None:
    with pytest.raises(TypeError, match="an event has no bdoy; attributes: body, content_type"):
        make_event(bdoy="x")


def test_rehearsal_of_an_error_in_init_context_raises_it(tmp_path: Path) -> None:
    module = type(sys)("failing_module")
    module.init_context = lambda context: 1 / 0  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module

    def handler(context: Any, event: Any) -> None: ...

    handler.__module__ = module.__name__
    with pytest.raises(ZeroDivisionError):
        HandlerRunner(handler, open_context()).prepare()


def test_it_works_in_an_authors_own_pytest(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "async def init_context(context):\n    context.user_data.limit = 30\n\n"
        "def handler(context, event):\n    return {'alert': event.body['degrees'] > context.user_data.limit}\n"
    )
    (tmp_path / "test_main.py").write_text(
        "from main import handler\nfrom stack.processor.testing import invoke\n\n"
        "def test_alert():\n    assert invoke(handler, body={'degrees': 31}).body == {'alert': True}\n\n"
        "def test_no_alert():\n    assert invoke(handler, body={'degrees': 3}).body == {'alert': False}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout


def tell(context: Any, event: Any) -> str:
    context.outputs.alerts.send(event.body, key="high", level=3)
    context.outputs.logs.send(f"got {event.body}")
    if event.path == "/fail":
        raise ValueError("as asked")
    return "told"


def test_what_is_sent_is_collected_and_nothing_of_an_event_that_fails() -> None:
    sent = invoke(tell, body={"n": 1}).outputs
    assert sent.alerts == [{"n": 1}] and sent.logs == ["got {'n': 1}"] and sent.others == []
    assert (sent.alerts.messages[0].address, sent.alerts.messages[0].content_type) == ("high", "application/json")
    assert invoke(tell, path="/fail").outputs.alerts == []


def test_outputs_are_those_of_the_function_yaml_beside_the_handler(tmp_path: Path) -> None:
    (tmp_path / "function.yaml").write_text(
        "spec:\n  outputs:\n    cmd: {kind: mqtt, topic: 'plant/{id}/cmd'}\n"
        "    hook: {kind: http, url: 'https://hooks.example', secret: hook.token}\n  onSuccess: hook\n"
    )
    (tmp_path / "sends.py").write_text(
        "async def handler(context, event):\n    context.outputs.cmd.send('open', id=7)\n    context.outputs.cmdd\n"
    )
    (tmp_path / "test_sends.py").write_text(
        "import pytest\nfrom sends import handler\nfrom stack.processor.testing import invoke\n\n"
        "def test_it():\n    with pytest.raises(AttributeError, match=\"did you mean 'cmd'\"):\n"
        "        invoke(handler, raises=True)\n"
        "    sent = invoke(handler).outputs\n    assert sent.cmd == sent.hook == []\n"
        "    with pytest.raises(AttributeError, match=\"did you mean 'cmd'\"):\n        sent.cmdd\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", "-c", "/dev/null", "."]
    run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def ask(context: Any, event: Any) -> Any:
    try:
        return context.request("plant/1/cmd", event.body, timeout=1).body
    except TimeoutError as error:
        return str(error)


def test_responses_are_those_that_the_test_gives() -> None:
    assert invoke(ask, body=b"a", responses={"plant/1/cmd": "open"}).body == b"open"
    assert invoke(ask, body=b"a", responses={"plant/1/cmd": {"is": "open"}}).body == {"is": "open"}
    assert invoke(ask, body=b"a", responses={"plant/1/cmd": lambda body: body + b"!"}).body == b"a!"
    own = nuclio_sdk.Response({}, b"whole", "text/x", 200)
    assert invoke(ask, body=b"a", responses={"plant/1/cmd": own}).body == b"whole"
    assert b"responses={'plant/1/cmd': \xe2\x80\xa6}" in invoke(ask, body=b"a").body
