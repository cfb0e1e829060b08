"""Functions of Node.js, on the real one: what Nuclio's own tests expect of them, and what becomes of late answers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import FUNCTIONS, ROOT, Processor, run_processor, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")

SPEC = {"runtime": "nodejs", "handler": "outputter.js:testHandler", "env": [{"name": "GIVEN", "value": "here"}]}
LATER = {"runtime": "nodejs", "handler": "later:handler"}


@pytest.fixture(scope="module")
def outputter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    with run_processor(tmp_path_factory.mktemp("outputter"), SPEC, FUNCTIONS / "nodejs") as processor:
        yield processor.wait_until_ready()


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    with run_processor(tmp_path_factory.mktemp("later"), LATER, FUNCTIONS / "nodejs") as processor:
        yield processor.wait_until_ready()


def find_node(processor: Processor) -> int:
    """Return the process of the handler of the first worker."""
    (worker,) = processor.workers()
    return int(Path(f"/proc/{worker}/task/{worker}/children").read_text())


@pytest.mark.parametrize(
    ("request_body", "status", "content_type", "body"),
    [
        ("return_string", 200, "text/plain", b"a string"),
        ("return_bytes", 200, "text/plain", b"\x00\xff\x07"),
        ("return_status_and_string", 201, "text/plain", b"a string after status"),
        ("return_status_and_dict", 201, "application/json", b'{"a":"dict after status","b":"foo"}'),
        ("return_number", 200, "application/json", b"3.5"),
        ("return_null", 200, "application/json", b"null"),
        ("return_list", 200, "application/json", b"[1,2,3]"),
        ("return_undefined", 200, "application/json", b""),
        ("return_empty_response", 200, "application/json", b"null"),
    ],
)
def test_answers(outputter: Processor, request_body: str, status: int, content_type: str, body: bytes) -> None:
    answer = outputter.ask(body=request_body)
    assert (answer.status, answer.headers["content-type"], answer.body) == (status, content_type, body)


def test_response_with_headers(outputter: Processor) -> None:
    answer = outputter.ask(body="return_response", a="1", b="2")
    assert (answer.status, answer.headers["content-type"], answer.body) == (201, "text/plain", b"response body")
    assert (answer.headers["h1"], answer.headers["h2"]) == ("v1", "v2")


def test_headers_of_other_types_are_texts(outputter: Processor) -> None:
    answer = outputter.ask(body="return_odd_headers")
    assert (answer.headers["count"], answer.headers["list"], answer.headers["map"]) == ("3", "1,2", '{"a":1}')
    assert "gone" not in answer.headers
    assert outputter.ask(body="return_map").headers["x-of"] == "a map"
    assert outputter.ask(body="return_fetch_headers").headers["x-of"] == "fetch"
    assert (answer.headers["content-type"], answer.body) == ("application/json", b'{"a":1}')


@pytest.mark.parametrize(
    ("request_body", "told"),
    [
        ("something invalid", "Error in handler: Unknown return mode: something invalid"),
        ("return_error", "some error"),
        ("return_cause", "Error in handler: fetch failed\nTypeError: fetch failed"),
        ("return_cause", "Caused by: Error: connect refused"),
        ("return_cause", "Caused by: { code: 'EHOST' }"),
        ("return_causes", "Error in handler: refused by ::1; refused by 127.0.0.1\n"),
        ("return_bigint", "BigInt"),
        ("return_bigint_status", "BigInt"),
        ("return_circular_type", "circular"),
        ("return_wrong_status", "status should be from 200 to 999, not 99"),
    ],
)
def test_errors(outputter: Processor, request_body: str, told: str) -> None:
    answer = outputter.ask(body=request_body)
    assert (answer.status, answer.headers["content-type"]) == (500, "text/plain")
    assert told in answer.body.decode()
    assert "nodejs.cjs" not in answer.body.decode()
    assert outputter.ask(body="return_string").status == 200


def test_errors_are_logged_with_their_stack(outputter: Processor) -> None:
    outputter.ask(body="return_error")
    log = outputter.wait_for_log("Error: some error")
    assert re.search(r"\(E\) sor\.http\.w0\.nodejs\.logger Exception caught in handler {\"exc\":\"some error\"", log)
    assert re.search(r"at return_error \(.*/outputter.js:\d+:\d+\)", log)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["Debug message", "Info message", "Warn message", "Error message"]),
        ("warn", ["Warn message", "Error message"]),
    ],
)
def test_log_of_a_call(outputter: Processor, level: str, expected: list[str]) -> None:
    answer = outputter.ask(body="log", X_Nuclio_Log_Level=level)
    assert (answer.status, answer.body) == (201, b"returned logs")
    assert [line["message"] for line in json.loads(answer.headers["x-nuclio-logs"])] == expected


def test_log_of_a_call_with_fields(outputter: Processor) -> None:
    answer = outputter.ask(body="log_with", X_Nuclio_Log_Level="warn")
    assert (answer.status, answer.body) == (201, b"returned logs with")
    (line,) = json.loads(answer.headers["x-nuclio-logs"])
    assert {name: line[name] for name in ("level", "message", "source", "weight")} == {
        "level": "error",
        "message": "Error message",
        "source": "rabbit",
        "weight": 7,
    }


def test_what_a_request_is_to_the_handler(outputter: Processor) -> None:
    assert outputter.ask().body == b"GET"
    assert outputter.ask("/?x=1&y=2", "return_fields").body == b"x=1,y=2"
    assert outputter.ask("/path/to/nowhere", "return_path").body == b"/path/to/nowhere"


def test_event(outputter: Processor) -> None:
    event = json.loads(outputter.ask("/a?b=c", "return_event", Content_Type="application/json").body)
    assert event["isBuffer"] and event["isDate"]
    assert event["body"] == {"type": "Buffer", "data": list(b"return_event")}
    assert event["content_type"] == event["content-type"] == "application/json"
    assert event["trigger"] == {"kind": "http", "name": "default-http"}
    assert (event["method"], event["path"], event["url"], event["fields"]) == ("POST", "/a", "", {"b": "c"})
    assert (event["size"], event["shard_id"], event["num_shards"], event["offset"]) == (12, -1, 0, 0)
    assert event["headers"]["Content-Type"] == "application/json"
    assert len(event["id"]) == 36
    assert "body" in event["keys"]


def test_bodies_of_any_size(outputter: Processor) -> None:
    for size in (47_000, 49_000, 3_000_000):
        assert outputter.ask(body="return_size " + "x" * size).body == str(size + 12).encode()


def test_user_data_lives_as_long_as_the_worker(outputter: Processor) -> None:
    counts = [int(outputter.ask(body="return_count").body) for _ in range(3)]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    kept = [int(outputter.ask(body="return_prepared").body) for _ in range(3)]
    assert kept == [kept[0], kept[0] + 1, kept[0] + 2]


def test_init_context_may_log_and_wait(outputter: Processor) -> None:
    line = r'\(I\) sor\.http\.w0\.nodejs\.logger prepared {"level":"any","message":"a field","worker_id":"0"}'
    assert re.search(line, outputter.log)
    assert 'a list {"value":["x",1],"worker_id":"0"}' in outputter.log
    assert 'a time {"value":"1970-01-01T00:00:00.000Z","worker_id":"0"}' in outputter.log


def test_environment(outputter: Processor) -> None:
    seen = json.loads(outputter.ask(body="return_environment").body)
    assert seen == {"name": "tested", "given": "here", "pid": find_node(outputter)}


def test_many_at_once(outputter: Processor) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: outputter.ask(f"/{number}", "return_path").body, range(400)))
    assert answers == [f"/{number}".encode() for number in range(400)]


def test_one_event_is_handled_at_a_time(later: Processor) -> None:
    with ThreadPoolExecutor(3) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda _: later.ask(body="sleep 0.2").status, range(3)))
    assert answers == [200] * 3
    assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize(("what", "told"), [("reject", "rejected"), ("float", "floating")])
def test_rejected_promise_is_a_failure_at_once(later: Processor, what: str, told: str) -> None:
    answer = later.ask(body=what)
    assert answer.status == 500
    assert told in answer.body.decode()
    assert later.ask(body="ok").status == 200


def test_rejected_promise_of_an_answered_event_fails_no_other(later: Processor) -> None:
    assert later.ask(body="float-after").body == b"answered"
    assert later.ask(body="sleep 0.4").status == 200
    later.wait_for_log("floating late")


def test_second_and_late_callbacks_warn_and_answer_nothing_else(later: Processor) -> None:
    assert later.ask(body="ok").body.startswith(b"ok ")
    assert later.ask(body="hold").body == b"held"
    assert later.ask(body="release").body == b"released"
    assert later.wait_for_log("what it was given is lost").count("(W)") >= 2


def test_work_goes_on_after_the_answer(later: Processor) -> None:
    assert later.ask(body="after 0.1").body == b"answered"
    later.wait_for_log("done afterwards")


def test_error_that_nothing_catches_fails_its_event_and_ends_the_process(start: Start) -> None:
    processor = start("nodejs", **LATER)
    first = processor.ask(body="ok").body
    answer = processor.ask(body="timer")
    assert answer.status == 500
    assert "in a timer" in answer.body.decode()
    processor.wait_for_log("ended with exit status 1")
    wait_for(lambda: processor.health().status == 200)
    assert processor.ask(body="ok").body != first


def test_process_and_worker_die_with_each_other(start: Start) -> None:
    processor = start("nodejs", triggers={"web": {"kind": "http", "numWorkers": 2}}, **LATER)
    answer = processor.ask(body="abort")
    assert (answer.status, answer.body) == (500, b"the worker ended while it handled this event")
    assert "ended by a signal: Segmentation fault" in processor.wait_for_log("Segmentation fault")
    answer = processor.ask(body="exit 3")
    assert answer.status == 500
    processor.wait_for_log("ended with exit status 3")
    wait_for(lambda: processor.health().status == 200)
    pids = {int(processor.ask(body="ok").body.split()[1]) for _ in range(10)}
    for worker in processor.workers():
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize("what", ["never", "busy"])
def test_event_that_takes_too_long(start: Start, what: str) -> None:
    processor = start("nodejs", eventTimeout="2s", **LATER)
    answer = processor.ask(body=what)
    assert (answer.status, answer.body) == (408, b'{"error": "handler timed out"}')
    wait_for(lambda: processor.health().status == 200)
    assert processor.ask(body="ok").status == 200


def test_stop_lets_what_is_under_way_end(start: Start) -> None:
    processor = start("nodejs", **LATER)
    assert processor.ask(body="after 0.7").body == b"answered"
    processor.stop()
    assert "done afterwards" in processor.log


def test_stop_waits_for_no_connection_that_is_silent(start: Start) -> None:
    """Such as one to a broker, kept for the next event, with an interval for its heartbeats."""
    for _ in range(3):
        processor = start("nodejs", **LATER)
        assert processor.ask(body="connect").status == 200
        time.sleep(1.1)
        # Work that it does not see the end of takes three seconds; other work on the machine may take as long.
        if (seconds := processor.stop()) < 2.5:
            break
    assert seconds < 2.5


def test_stop_waits_for_an_answer_that_is_under_way(start: Start) -> None:
    processor = start("nodejs", **LATER)
    assert processor.ask(body="fetch 0.6").body == b"answered"
    processor.stop()
    assert "done afterwards" in processor.log


def test_what_is_put_into_the_context_after_the_answer_stays(start: Start, tmp_path: Path) -> None:
    code = """
    const { existsSync } = require('node:fs');
    exports.handler = (context, event) => {
      context.callback(String(context.connection));
      if (event.path !== '/connect') return;
      const look = setInterval(() => {
        if (!existsSync(`${__dirname}/go`)) return;
        context.connection = 'made';
        clearInterval(look);
      }, 20);
    };
    """
    folder = write(tmp_path / "user", main__js=code)
    processor = start(folder, runtime="nodejs", handler="main:handler")
    assert [processor.ask(path).body for path in ("/connect", "/", "/")] == [b"undefined"] * 3
    (Path(folder) / "go").touch()
    wait_for(lambda: processor.ask().body == b"made")


def test_callback_may_be_wrapped_for_its_event_alone(start: Start, tmp_path: Path) -> None:
    code = """
    exports.handler = (context, event) => {
      const callback = context.callback;
      if (event.path === '/wrapped') context.callback = (value) => callback(`<${value}>`);
      context.callback('x');
    };
    """
    processor = start(write(tmp_path / "user", main__js=code), runtime="nodejs", handler="main:handler")
    assert [processor.ask(path).body for path in ("/", "/wrapped", "/")] == [b"x", b"<x>", b"x"]


def test_handler_that_returns_its_answer_is_told_how_to_give_it(start: Start, tmp_path: Path) -> None:
    code = "exports.handler = async () => ({ statusCode: 200, body: 'as elsewhere' });"
    folder = write(tmp_path / "user", main__js=code)
    # It is told after five seconds, and a busy machine may need some more.
    processor = start(folder, runtime="nodejs", handler="main:handler", eventTimeout="9s")
    assert processor.ask().status == 408
    assert "is not answered: its handler has returned, and only context.callback(…) answers" in processor.log


def test_what_is_sent_is_looked_at_before_it_is() -> None:
    """Options of Python, times that are none, and more requests than may be made at a time."""
    code = """
    const { openOutputs, openRequests } = require('./nodejs_outgoing.cjs');
    const sent = [];
    for (const name of ['correlation_id', 'body']) {
      const { a } = openOutputs(['a'], () => true, () => 0);
      try { a.send('x', { [name]: 1 }); } catch (error) { console.log(error.message); }
    }
    const { request, settle } = openRequests((...frame) => sent.push(frame));
    for (const timeout of [Infinity, NaN, 'soon', -1]) {
      request('x', '', { timeout }).catch((error) => console.log(error.message));
    }
    const all = Promise.all(Array.from({ length: 250 }, () => request('x')));
    console.log(sent.length);
    for (let one = 1; one <= 250; one += 1) settle([one, '', null, 'text/plain', {}], Buffer.from('y'));
    all.then((answers) => console.log(sent.length, answers.length));
    """
    runtime = ROOT / "stack" / "processor" / "runtime"
    said = subprocess.run(["node", "-e", code], cwd=runtime, capture_output=True, text=True, check=True).stdout
    known = "it has key, headers, correlationId, now and the output's placeholders"
    assert said.splitlines() == [
        *(f"output a: send has no option {name}; {known}" for name in ("correlation_id", "body")),
        "100",
        *(f"timeout should be seconds, not {value}" for value in ("Infinity", "NaN", "soon", "-1")),
        "250 250",
    ]


def test_a_call_of_a_function_has_headers_and_a_path_of_its_own_and_says_why_it_failed() -> None:
    code = """
    const http = require('node:http');
    const server = http.createServer((request, response) => {
      request.on('data', () => 0).on('end', () => {
        if (request.url === '/never') return;
        response.end(JSON.stringify([request.url, request.headers]));
      });
    }).listen(0, '127.0.0.1', async () => {
      const { port } = server.address();
      const { request } = http;
      http.request = (options) => request({ ...options, host: '127.0.0.1', port });
      const { Platform } = require('./nodejs_outgoing.cjs');
      const call = (event, options) => new Platform('nuclio').call_function('scorer', event, options);
      const headers = { Host: 'elsewhere', 'content-length': '1000', Connection: 'close', 'X-Own': 'ü' };
      const { body } = await call({ body: 'x', headers, path: '/grün/a b?x=%20' });
      const [url, seen] = JSON.parse(body);
      console.log(url, seen.host === `127.0.0.1:${port}`, seen['content-length']);
      await call({ path: '/never' }, { timeout: 0.2 }).catch(({ name, message }) => console.log(`${name}: ${message}`));
      server.close();
      server.closeAllConnections();
      await call().catch(({ code, message }) => console.log(message, code));
    });
    """
    runtime = ROOT / "stack" / "processor" / "runtime"
    ran = subprocess.run(["node", "-e", code], cwd=runtime, capture_output=True, text=True, check=False, timeout=30)
    first, late, gone, *_ = ran.stdout.splitlines()
    assert first == "/gr%C3%BCn/a%20b?x=%20 true 1"
    assert late == "TimeoutError: the function scorer has not answered within 0.2 s"
    assert re.fullmatch(r"the function scorer cannot be called: connect ECONNREFUSED .* ECONNREFUSED", gone)


def test_errors_among_the_fields_of_a_log_are_their_stacks(outputter: Processor) -> None:
    answer = outputter.ask(body="log_error", X_Nuclio_Log_Level="error")
    (line,) = json.loads(answer.headers["x-nuclio-logs"])
    assert re.match(r"Error: inner\n    at (?s:.*)\nCaused by: Error: deeper\n    at ", line["error"])
    assert line["sensor"] == 7


def write(folder: Path, **files: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return str(folder)


CALL = "handler = (context) => context.callback('here')"


@pytest.mark.parametrize(
    ("handler", "files"),
    [
        ("main:handler", {"main__js": f"exports.{CALL};"}),
        ("handler", {"handler__js": f"exports.{CALL};"}),
        ("main:handler", {"main__mjs": f"await null; export const {CALL};"}),
        ("main.mjs:handler", {"main__mjs": f"export const {CALL};"}),
        ("main:handler", {"main__js": f"await null; export const {CALL};", "package__json": '{"type": "module"}'}),
        ("main:handler", {"main__js": f"exports.{CALL};", "package__json": '\ufeff{"type": "commonjs"}'}),
        ("main:handler", {"main__js": f"setTimeout(() => {{ module.exports.{CALL}; }}, 300);"}),
    ],
)
def test_where_a_handler_may_be(start: Start, tmp_path: Path, handler: str, files: dict[str, str]) -> None:
    processor = start(write(tmp_path / "user", **files), runtime="nodejs", handler=handler)
    assert processor.ask().body == b"here"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"other__js": ""}, "files there: other.js"),
        ({"main__js": "exports.handler = ("}, "SyntaxError: "),
        ({"main__js": "export const handler =\n 1 +;"}, "/user/main.js:2\n 1 +;\n    ^\nSyntaxError: "),
        ({"main__mjs": "import './lib.mjs';", "lib__mjs": "\nlet x = ;"}, "/user/lib.mjs:2\nlet x = ;"),
        ({"main__mjs": "JSON.parse('{'); export const handler = 1;"}, "main.mjs:1:6"),
        ({"main__js": "require('nowhere')"}, "Cannot find module 'nowhere'"),
        ({"main__js": "exports.handler = 3"}, "should be a function"),
        ({"main__js": "process.exit(4)"}, "ended with exit status 4"),
        ({"main__js": "Promise.reject(new Error('never caught'))"}, "Error: never caught"),
    ],
)
def test_handler_that_cannot_be_loaded(start: Start, tmp_path: Path, files: dict[str, str], told: str) -> None:
    processor = start(write(tmp_path / "user", **files), ready=False, runtime="nodejs", handler="main:handler")
    assert processor.wait_for_end() == 1
    assert told in processor.log
    assert "spec.handler: 'main:handler' cannot be loaded" in processor.log


def test_init_context_that_fails(start: Start, tmp_path: Path) -> None:
    text = f"exports.{CALL};\nexports.initContext = async () => {{ throw new Error('no sensor'); }};"
    processor = start(write(tmp_path / "user", main__js=text), ready=False, runtime="nodejs", handler="main:handler")
    processor.wait_for_log("init_context failed")
    assert "Error: no sensor" in processor.log
    assert processor.health().status == 503


@pytest.mark.parametrize(
    ("spec", "body", "answer", "logged"),
    [(SPEC, "return_path", "/there\n", ""), (LATER, "after 0.3", "answered\n", "done afterwards")],
)
def test_one_event_from_a_file(tmp_path: Path, spec: dict[str, Any], body: str, answer: str, logged: str) -> None:
    """What the handler still has under way ends before the processor does."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"body": body, "path": "/there", "method": "POST"}))
    config = tmp_path / "processor.yaml"
    config.write_text(json.dumps({"metadata": {"name": "tested"}, "spec": spec}))
    run = run_once(config, event)
    assert (run.returncode, run.stdout) == (0, answer), run.stderr
    assert logged in run.stderr


def run_once(config: Path, event: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stack.processor", "--config", str(config), "--event", str(event)]
    command += ["--folder", str(FUNCTIONS / "nodejs"), "--secrets", str(config.parent)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
