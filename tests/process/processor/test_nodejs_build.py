"""What Nuclio's own build tests expect of Node.js: code of every form, initialisation that takes long, no leak."""

import base64
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from stack.config.allow import Allow
from stack.config.settings import Settings
from stack.config.source import load_function
from stack.plan.function import plan_function
from stack.state.source.source import Store
from stack.state.workspace import Workspace
from tests.process.processor.conftest import Start

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")

# Writes the code into the function's folder, or into the other, which is behind an address too; returns the spec.
Write = Callable[[Path, Path, str], dict[str, object]]

REVERSER = "exports.handler = (ctx, event) => ctx.callback(event.body.toString().split('').reverse().join(''));\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


def write_file(folder: Path, far: Path, url: str) -> dict[str, object]:
    (folder / "reverser.js").write_text(REVERSER)
    return {"handler": "reverser:handler"}


def write_folder(folder: Path, far: Path, url: str) -> dict[str, object]:
    (far / "lib").mkdir()
    (far / "lib" / "reverser.js").write_text(REVERSER)
    (far / "main.js").write_text("module.exports = require('./lib/reverser');\n")
    return {"build": {"path": str(far)}}


def write_zip(folder: Path, far: Path, url: str) -> dict[str, object]:
    with zipfile.ZipFile(far / "code.zip", "w") as bundle:
        bundle.writestr("main.js", REVERSER)
    return {"build": {"path": str(far / "code.zip"), "codeEntryType": "archive"}}


def write_tar(folder: Path, far: Path, url: str) -> dict[str, object]:
    (far / "main.js").write_text(REVERSER)
    with tarfile.open(far / "code.tar.gz", "w:gz") as bundle:
        bundle.add(far / "main.js", "deep/main.js")
    attributes = {"workDir": "deep"}
    path = str(far / "code.tar.gz")
    return {"build": {"path": path, "codeEntryType": "archive", "codeEntryAttributes": attributes}}


def write_url(folder: Path, far: Path, url: str) -> dict[str, object]:
    (far / "reverser.js").write_text(REVERSER)
    return {"handler": "reverser:handler", "build": {"path": f"{url}/reverser.js"}}


def write_inline(folder: Path, far: Path, url: str) -> dict[str, object]:
    return {"build": {"functionSourceCode": base64.b64encode(REVERSER.replace("\n", "\r\n").encode()).decode()}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a server of its files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "far"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("write", [write_file, write_folder, write_zip, write_tar, write_url, write_inline])
def test_reverser(start: Start, tmp_path: Path, site: tuple[Path, str], write: Write) -> None:
    """The files that go into the image are run as they are there."""
    workspace, (far, url) = Workspace(tmp_path / "workspace"), site
    folder = workspace.root / "functions" / "reverser"
    folder.mkdir(parents=True)
    spec = {"runtime": "nodejs", **write(folder, far, url)}
    (folder / "function.yaml").write_text(yaml.safe_dump({"spec": spec}))
    settings = Settings(allow=Allow(host_paths=(str(far),)))
    function = Store(workspace, settings, load_function(folder)).fetch()
    plan = plan_function(function, settings)
    code = workspace.root / function.context
    if source := plan.spec.build.source:
        (code / plan.runtime.list_sources(plan.handler)[0]).write_bytes(source)
    processor = start(str(code), runtime="nodejs", handler=plan.handler)
    assert processor.ask(body="abcdef").body == b"fedcba"


def write(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "main.js").write_text(text)
    return str(folder)


def test_export_that_is_there_after_five_seconds(start: Start, tmp_path: Path) -> None:
    began = time.monotonic()
    code = write(tmp_path / "late", "setTimeout(() => { exports.handler = (one) => one.callback('late'); }, 5000);")
    processor = start(code, runtime="nodejs", handler="main:handler")
    assert time.monotonic() - began >= 5
    assert processor.ask().body == b"late"


def test_init_context_sets_what_the_handler_uses(start: Start, tmp_path: Path) -> None:
    code = """
    exports.initContext = (context) => { context.userData.factor = 2; };
    exports.handler = (context, event) => context.callback(String(context.userData.factor * Number(event.body)));
    """
    processor = start(write(tmp_path / "factor", code), runtime="nodejs", handler="main:handler")
    assert processor.ask(body="10").body == b"20"


def test_a_thousand_events_leave_no_listener_behind(start: Start, tmp_path: Path) -> None:
    code = """
    const count = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
      + process._getActiveHandles().reduce((sum, one) => sum + (one.eventNames?.() ?? [])
        .reduce((own, name) => own + one.listenerCount(name), 0), 0);
    exports.handler = (context, event) => setImmediate(() => context.callback(String(count())));
    """
    processor = start(write(tmp_path / "counts", code), runtime="nodejs", handler="main:handler")
    first = processor.ask().body
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: processor.ask().status, range(1000)))
    assert answers == [200] * 1000
    assert processor.ask().body == first
    assert "MaxListenersExceededWarning" not in processor.log
