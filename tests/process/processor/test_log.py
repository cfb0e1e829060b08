"""Logs: as JSON, returned to the client that asks, and many of them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import Processor


def read_documents(processor: Processor, until: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in processor.wait_for_log(until).splitlines() if line.startswith("{")]


@pytest.mark.parametrize("sink", [{"encoding": "json"}, {"attributes": {"encoding": "json"}}])
def test_json_is_one_document_a_line(start: Start, sink: dict[str, Any]) -> None:
    processor = start("logs", loggerSinks=[{"level": "info", **sink}])
    processor.ask()
    documents = read_documents(processor, "printed")
    with_fields = next(one for one in documents if one["message"] == "with fields")
    assert abs(with_fields.pop("time") / 1000 - time.time()) < 60
    name = "processor.http.w0.python.logger"
    assert with_fields == {
        "level": "info",
        "name": name,
        "message": "with fields",
        "number": 1,
        "text": "é",
        "worker_id": "0",
    }
    assert [one["level"] for one in documents if one["name"] == name] == ["info", "warn", "error"]
    assert any(one["message"] == "Ready" and one["name"] == "processor" for one in documents)
    assert set(processor.log.splitlines()) - {json.dumps(one) for one in documents} >= {"printed"}
    assert [line for line in processor.log.splitlines() if not line.startswith("{")] == ["printed"]


def test_json_keeps_tracebacks_in_the_line(start: Start) -> None:
    processor = start("answers", loggerSinks=[{"encoding": "json"}])
    processor.ask("/fail")
    caught = next(one for one in read_documents(processor, "Exception caught") if "exc" in one)
    assert caught["exc"] == "it does not work"
    assert caught["traceback"].startswith("Traceback") and "ValueError: it does not work" in caught["traceback"]


def test_json_in_nuclios_other_forms(start: Start) -> None:
    attributes = {
        "encoding": "json",
        "timeFieldName": "when",
        "timeFieldEncoding": "iso8601",
        "varGroupName": "more",
    }
    processor = start("logs", loggerSinks=[{"attributes": attributes}])
    processor.ask()
    line = next(one for one in read_documents(processor, "printed") if one["message"] == "with fields")
    assert line["more"] == {"number": 1, "text": "é", "worker_id": "0"}
    assert line["when"].endswith("+00:00")


@pytest.mark.parametrize("workers", [1, 2])
def test_client_that_asks_gets_its_log(start: Start, workers: int) -> None:
    processor = start("raises", loggerSinks=[{"level": "error"}], triggers=web(numWorkers=workers))
    assert "x-nuclio-logs" not in processor.ask().headers
    (line,) = json.loads(processor.ask(x_nuclio_log_level="info").headers["x-nuclio-logs"])
    assert abs(line.pop("time") / 1000 - time.time()) < 60
    assert (line.pop("level"), line.pop("message"), line.pop("count")) == ("info", "for who asks", 3)
    assert line.pop("name").startswith("processor.http.w")
    assert len(json.loads(processor.ask(x_nuclio_log_level="DEBUG").headers["x-nuclio-logs"])) == 2
    assert len(json.loads(processor.ask(x_nuclio_log_level="what").headers["x-nuclio-logs"])) == 2
    assert json.loads(processor.ask(x_nuclio_log_level="error").headers["x-nuclio-logs"]) == []
    assert "for who asks" not in processor.log


def test_log_of_an_event_that_fails_is_returned_too(start: Start) -> None:
    processor = start("raises")
    answer = processor.ask("/fail", x_nuclio_log_level="error")
    (line,) = json.loads(answer.headers["x-nuclio-logs"])
    assert (answer.status, line["exc"]) == (500, "secret of the house")


def test_log_that_is_too_long_is_left_out(start: Start) -> None:
    processor = start("raises")
    answer = processor.ask("/long", x_nuclio_log_level="debug")
    assert (answer.status, answer.body) == (200, b"fine")
    assert "x-nuclio-logs" not in answer.headers


def test_line_whose_values_do_not_fit_its_text_fails_no_event(start: Start) -> None:
    processor = start("raises")
    assert processor.ask("/unfit").body == b"fine"
    answer = processor.ask("/unfit", x_nuclio_log_level="info")
    assert (answer.status, answer.body) == (200, b"fine")
    *_, line = json.loads(answer.headers["x-nuclio-logs"])
    assert line["message"].startswith("A line of the log is lost: TypeError: %d format")


def test_raised_response_is_the_answer(start: Start) -> None:
    processor = start("raises")
    answer = processor.ask("/teapot")
    assert (answer.status, answer.headers["content-type"]) == (418, "application/json")
    assert json.loads(answer.body) == {"error": "tea"}
    assert processor.ask("/bad").status == 500
    assert processor.ask().status == 200


def test_traceback_can_be_kept_from_clients(start: Start) -> None:
    processor = start("raises", triggers=web(attributes={"hideTraceback": True}))
    answer = processor.ask("/fail")
    assert (answer.status, answer.body) == (500, b"The handler failed; the reason is in the function's log.")
    assert "ValueError: secret of the house" in processor.wait_for_log("ValueError")


def test_chatty_worker_slows_no_other(start: Start, tmp_path: Path) -> None:
    """One worker writes 10,000 lines a second; the others answer meanwhile, and no line is missing."""
    processor, end = start("chatty", triggers=web(numWorkers=2)), tmp_path / "end"
    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(processor.ask, "/talk", str(end))
        processor.wait_for_log("line 10000 ")
        assert all(processor.ask().status == 200 for _ in range(20))
        assert not talking.done()
        end.touch()
        count = int(talking.result().body)
    assert processor.wait_for_log(f"line {count - 1} ").count(" of many") == count


def web(**settings: Any) -> dict[str, Any]:
    return {"web": {"kind": "http", **settings}}
