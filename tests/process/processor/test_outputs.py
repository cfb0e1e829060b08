"""What a handler sends over HTTP, in Python and Node.js: when it leaves, and what becomes of an event that it fails."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import PATIENCE, wait_for

PYTHON = """
def init_context(context):
    context.outputs.hook.send("started")

def handler(context, event):
    context.outputs.hook.send({"path": event.path}, headers={"X-Number": 3}, correlation_id="c-1")
    if event.path == "/raise":
        raise ValueError("as asked")
    if event.path == "/refused":
        context.outputs.hook.send("refused")
    if event.path == "/unknown":
        context.outputs.hok.send("x")
    return context.Response(body="fine", status_code=500 if event.path == "/500" else 200)
"""
ASYNC = PYTHON.replace("def handler", "async def handler")
NODE = """
exports.initContext = (context) => context.outputs.hook.send('started');
exports.handler = async (context, event) => {
  if (event.path === '/quiet') return context.callback('quiet');
  context.outputs.hook.send({ path: event.path }, { headers: { 'X-Number': 3 }, correlationId: 'c-1' });
  if (event.path === '/raise') throw new Error('as asked');
  if (event.path === '/refused') context.outputs.hook.send('refused');
  if (event.path === '/unknown') context.outputs.hok.send('x');
  context.callback(new context.Response('fine', null, 'text/plain', event.path === '/500' ? 500 : 200));
  if (event.path === '/late') context.outputs.hook.send('late');
  if (event.path === '/slow') ['slow', 'refused'].forEach((one) => context.outputs.hook.send(one));
};
"""


class Hook(ThreadingHTTPServer):
    """A service that remembers what it is sent, refuses `refused`, and takes `slow` once it is over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[bytes, dict[str, str]]] = []
        self.is_over = threading.Event()

    def take(self) -> list[tuple[bytes, dict[str, str]]]:
        found, self.requests = self.requests, []
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((body, dict(self.headers.items())))
        if body == b"slow":
            self.server.is_over.wait(PATIENCE)
        self.send_response(503 if body == b"refused" else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_triggers_that_share_workers_have_outputs(start: Start, tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "main.py").write_text(PYTHON)
    outputs = {"hook": {"kind": "http", "url": f"http://127.0.0.1:{hook.server_port}/x"}}
    shared = {"workerAllocatorName": "pool"}
    cron = {"kind": "cron", "attributes": {"interval": "300ms"}, **shared}
    triggers = {"web": {"kind": "http", **shared}, "clock": cron}
    processor = start(str(tmp_path / "user"), handler="main:handler", outputs=outputs, triggers=triggers)
    assert processor.ask("/a").status == 200
    wait_for(lambda: {b'{"path": "/a"}', b'{"path": "/"}'} <= {body for body, _ in hook.requests})


ANSWERS = {
    "python": "def handler(context, event):\n    return {'n': 1} if event.path == '/a' else ''\n",
    "nodejs": "exports.handler = (context, event) => context.callback(event.path === '/a' ? { n: 1 } : '');\n",
}


@pytest.mark.parametrize("runtime", ANSWERS)
def test_the_answer_goes_to_the_output_of_onsuccess(start: Start, tmp_path: Path, hook: Hook, runtime: str) -> None:
    if runtime == "nodejs" and not shutil.which("node"):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ("main.js" if runtime == "nodejs" else "main.py")).write_text(ANSWERS[runtime])
    token = tmp_path / "hook.token"
    token.write_text("word")
    outputs = {"hook": {"kind": "http", "url": f"http://127.0.0.1:{hook.server_port}/x", "secret": str(token)}}
    processor = start(
        str(tmp_path / "user"), runtime=runtime, handler="main:handler", outputs=outputs, onSuccess="hook"
    )
    assert json.loads(processor.ask("/a").body) == {"n": 1}
    assert processor.ask("/nothing").body == b""
    ((body, headers),) = hook.take()
    assert json.loads(body) == {"n": 1}
    assert (headers["Content-Type"], headers["Authorization"]) == ("application/json", "Bearer word")


@pytest.mark.parametrize(("runtime", "code"), [("python", PYTHON), ("python", ASYNC), ("nodejs", NODE)])
def test_outputs(start: Start, tmp_path: Path, hook: Hook, runtime: str, code: str) -> None:
    if runtime == "nodejs" and not shutil.which("node"):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ("main.js" if runtime == "nodejs" else "main.py")).write_text(code)
    outputs = {"hook": {"kind": "http", "url": f"http://127.0.0.1:{hook.server_port}/x", "headers": {"X-Own": "1"}}}
    processor = start(str(tmp_path / "user"), runtime=runtime, handler="main:handler", outputs=outputs)
    assert [body for body, _ in hook.take()] == [b"started"], "what is sent outside of an event leaves at once"

    assert processor.ask("/a", traceparent=f"00-{'a' * 32}-{'b' * 16}-01").body == b"fine"
    ((body, headers),) = hook.take()
    assert body == b'{"path": "/a"}'
    assert (headers["Content-Type"], headers["X-Own"], headers["X-Number"]) == ("application/json", "1", "3")
    assert (headers["X-Correlation-Id"], headers["x-nuclio-function"]) == ("c-1", "tested")
    assert headers["traceparent"].startswith(f"00-{'a' * 32}-") and len(headers["Idempotency-Key"]) == 32

    for path in ("/raise", "/500", "/unknown"):
        assert processor.ask(path).status == 500
    assert hook.take() == [], "an event that fails sends nothing"
    assert "function.yaml has no output 'hok' in spec.outputs" in processor.log
    assert "outbox.py" not in processor.log, "the traceback ends in the author's code"

    answer = processor.ask("/refused")
    assert (answer.status, len(hook.take())) == (503, 2)
    assert b"could not be delivered" in answer.body
    assert "the output hook: answered with status 503" in processor.log
    if runtime == "nodejs":
        assert processor.ask("/late").status == 200
        wait_for(lambda: len(hook.requests) == 2)
        assert {body for body, _ in hook.take()} == {b'{"path": "/late"}', b"late"}
        assert processor.ask("/slow").status == 200
        wait_for(lambda: b"slow" in [body for body, _ in hook.requests])
        assert processor.ask("/quiet").body == b"quiet", "no event waits for what is sent outside of one"
        hook.is_over.set()
        processor.wait_for_log("What was sent outside of an event is lost")


NOW = {
    "python": """
from stack.processor.output.message import OutputError

def handler(context, event):
    try:
        context.outputs.hook.send(event.path[1:], now=True)
    except OutputError as error:
        return f"{type(error).__name__}: {error}"
    raise ValueError("it has left all the same")
""",
    "nodejs": """
exports.handler = async (context, event) => {
  try {
    await context.outputs.hook.send(event.path.slice(1), { now: true });
  } catch (error) {
    return context.callback(`${error.name}: ${error.message}`);
  }
  throw new Error('it has left all the same');
};
""",
}


@pytest.mark.parametrize("runtime", NOW)
def test_what_is_sent_now_leaves_whatever_becomes_of_the_event(
    start: Start, tmp_path: Path, hook: Hook, runtime: str
) -> None:
    if runtime == "nodejs" and not shutil.which("node"):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ("main.js" if runtime == "nodejs" else "main.py")).write_text(NOW[runtime])
    outputs = {"hook": {"kind": "http", "url": f"http://127.0.0.1:{hook.server_port}/x"}}
    processor = start(str(tmp_path / "user"), runtime=runtime, handler="main:handler", outputs=outputs)
    event = {"X-Correlation-Id": "c-7"}
    assert processor.ask("/once", **event).status == 500
    ((body, headers),) = hook.take()
    assert (body, headers["X-Correlation-Id"]) == (b"once", "c-7")
    answer = processor.ask("/refused")
    assert answer.status == 200
    assert answer.body.startswith(b"OutputError: the output hook: answered with status 503")


KEPT = {
    "python": """
def init_context(context):
    context.user_data.hook = context.outputs.hook

def handler(context, event):
    context.user_data.hook.send(event.path)
    if event.path == "/fail":
        raise ValueError("and so it does not leave")
    return ""
""",
    "nodejs": """
let first;
exports.initContext = (context) => { context.userData.hook = context.outputs.hook; };
exports.handler = (context, event) => {
  first ??= { ...context };
  context.userData.hook.send(event.path);
  first.outputs.hook.send(`first ${event.path}`);
  if (event.path === '/fail') throw new Error('and so it does not leave');
  context.callback(JSON.stringify([Object.keys(context.outputs), context.outputs]));
};
""",
}


@pytest.mark.parametrize("runtime", KEPT)
def test_an_output_that_is_kept_goes_with_the_event_that_uses_it(
    start: Start, tmp_path: Path, hook: Hook, runtime: str
) -> None:
    if runtime == "nodejs" and not shutil.which("node"):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / ("main.js" if runtime == "nodejs" else "main.py")).write_text(KEPT[runtime])
    outputs = {"hook": {"kind": "http", "url": f"http://127.0.0.1:{hook.server_port}/x"}}
    processor = start(str(tmp_path / "user"), runtime=runtime, handler="main:handler", outputs=outputs)
    for path in ("/a", "/b"):
        answer = processor.ask(path, X_Correlation_Id="c-1")
        assert answer.body == (b'[["hook"],{"hook":{"name":"hook"}}]' if runtime == "nodejs" else b"")
        taken = hook.take()
        assert [body.decode() for body, _ in taken] == [path, f"first {path}"][: 2 if runtime == "nodejs" else 1]
        assert {headers["X-Correlation-Id"] for _, headers in taken} == {"c-1"}
    assert processor.ask("/fail").status == 500
    assert hook.take() == [], "an event that fails sends nothing"
