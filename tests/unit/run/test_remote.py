"""Deploying through a dashboard elsewhere: here a server that answers as Nuclio's own is documented to."""

import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import FunctionError, HostError
from stack.run import remote_function
from stack.run.remote import open_dashboard
from stack.run.remote_function import deploy_remotely
from stack.state.workspace import VARIABLE
from tests.unit.run.nuclio_server import STEPS, Nuclio, serve_nuclio


@pytest.fixture
def nuclio() -> Iterator[Nuclio]:
    with serve_nuclio() as nuclio:
        yield nuclio


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "functions" / "reader"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text(
        "metadata: {labels: {nuclio.io/project-name: plant}}\nspec: {handler: 'main:handler'}\n"
    )
    (folder / "main.py").write_text("def handler(context, event):\n    return 1\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(remote_function, "_INTERVAL_SECONDS", 0.01)
    return tmp_path


def test_function_is_created_with_its_project(nuclio: Nuclio, capsys: pytest.CaptureFixture[str]) -> None:
    deploy_remotely("reader", nuclio.url)
    assert nuclio.requests[:4] == [
        ("GET", "/api/projects"),
        ("POST", "/api/projects"),
        ("GET", "/api/functions/reader"),
        ("POST", "/api/functions"),
    ]
    sent = nuclio.functions["reader"]
    assert sent["metadata"] == {"name": "reader", "labels": {"nuclio.io/project-name": "plant"}}
    assert b64decode(sent["spec"]["build"]["functionSourceCode"]) == b"def handler(context, event):\n    return 1\n"
    captured = capsys.readouterr()
    assert captured.out == "http://0.0.0.0:32768\n"
    assert [line.partition(" ")[2] for line in captured.err.splitlines()[:3]] == list(STEPS)
    assert "#1 DONE" not in captured.err
    assert f"reader is ready at {nuclio.url}" in captured.err


def test_function_that_is_there_is_replaced(nuclio: Nuclio) -> None:
    deploy_remotely("reader", nuclio.url)
    nuclio.requests.clear()
    deploy_remotely("reader", f"{nuclio.url}/api/")
    assert nuclio.requests[:3] == [
        ("GET", "/api/projects"),
        ("GET", "/api/functions/reader"),
        ("PUT", "/api/functions/reader"),
    ]


@pytest.mark.parametrize("state", ["error", "unhealthy"])
def test_deploy_that_fails_says_why(nuclio: Nuclio, state: str) -> None:
    nuclio.state, nuclio.message = state, "pip found no such package"
    with pytest.raises(FunctionError, match=f"reader did not come up at .*, it is {state}: pip found no such package"):
        deploy_remotely("reader", nuclio.url)


@pytest.mark.parametrize("state", ["imported", "scaledToZero", "standby"])
def test_deploy_that_starts_nothing_ends_too(nuclio: Nuclio, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    nuclio.state = state
    deploy_remotely("reader", nuclio.url)
    assert f"reader is {state}" in capsys.readouterr().err


def test_refusal_is_told_in_the_dashboards_words(nuclio: Nuclio) -> None:
    nuclio.refusal = (400, "Function name must be provided in metadata")
    with pytest.raises(FunctionError, match="refused it: Function name must be provided in metadata"):
        deploy_remotely("reader", nuclio.url)


def test_deploy_that_never_ends_is_given_up(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch) -> None:
    nuclio.state = "building"
    monkeypatch.setattr(remote_function, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(FunctionError, match="reader is still building"):
        deploy_remotely("reader", nuclio.url)


def test_login_is_in_the_address_or_the_environment(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch) -> None:
    nuclio.login = "Basic YW5uOnAvdw=="
    with pytest.raises(HostError, match="asks for a login"):
        deploy_remotely("reader", nuclio.url)
    deploy_remotely("reader", nuclio.url.replace("//", "//ann:p%2Fw@"))
    nuclio.login = "Bearer t0ken"
    monkeypatch.setenv("TIDEGATE_TOKEN", "t0ken")
    deploy_remotely("reader", nuclio.url)


def test_password_is_never_shown(nuclio: Nuclio, capsys: pytest.CaptureFixture[str]) -> None:
    nuclio.state = "error"
    url = nuclio.url.replace("//", "//ann:s3cret@")
    with pytest.raises(FunctionError) as caught:
        deploy_remotely("reader", url)
    captured = capsys.readouterr()
    assert "s3cret" not in str(caught.value) + captured.out + captured.err + repr(open_dashboard(url))


def test_no_one_answers(nuclio: Nuclio) -> None:
    with pytest.raises(HostError, match=r"http://127\.0\.0\.1:9 does not answer: Connection refused"):
        deploy_remotely("reader", "127.0.0.1:9")


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port", "http://[x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(HostError, match=re.escape("--via should be a dashboard's address")):
        deploy_remotely("reader", url)


def test_function_that_is_not_there(nuclio: Nuclio) -> None:
    with pytest.raises(FunctionError, match=r"There is no functions/missing"):
        deploy_remotely("missing", nuclio.url)
    assert nuclio.requests == []
