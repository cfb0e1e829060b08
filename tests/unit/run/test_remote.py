"""Deploying through a dashboard elsewhere: here a server that answers as Nuclio's own is documented to."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stack.errors import FunctionError, HostError
from stack.run import remote_function
from stack.run.remote import Answer, AwayError, RemoteDashboard, open_dashboard
from stack.run.remote_function import deploy_at, read_function, roll_back_at
from stack.state.workspace import VARIABLE
from tests.unit.run.nuclio_server import STEPS, Nuclio, serve_nuclio


def deploy_remotely(name: str, url: str, seconds: float = 60) -> None:
    remote_function.deploy_remotely(name, url, seconds)


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


def test_deploy_has_the_time_that_was_typed(nuclio: Nuclio) -> None:
    nuclio.state = "building"
    with pytest.raises(FunctionError, match="reader is still building"):
        deploy_remotely("reader", nuclio.url, 0.3)


def test_who_refuses_without_a_word_may_be_no_dashboard() -> None:
    dashboard = open_dashboard("http://127.0.0.1:9000")
    with pytest.raises(FunctionError, match=r"status 406\. Check that this is the address of a dashboard\."):
        dashboard.expect(Answer(406, None))
    with pytest.raises(FunctionError, match=r"refused it: not now$"):
        dashboard.expect(Answer(409, {"error": "not now"}))


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


class CutDashboard(RemoteDashboard):
    """One whose line is cut once, when it has heard a change or before."""

    cuts: tuple[str, ...] = ()
    hears = True

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        if method in CutDashboard.cuts:
            CutDashboard.cuts = ()
            if CutDashboard.hears:
                super().ask(method, path, body, headers)
            raise AwayError("cut")
        return super().ask(method, path, body, headers)


def cut(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch, *, hears: bool) -> CutDashboard:
    monkeypatch.setattr(CutDashboard, "cuts", ("POST", "PUT"))
    monkeypatch.setattr(CutDashboard, "hears", hears)
    return CutDashboard(nuclio.url)


@pytest.mark.parametrize("hears", [True, False])
def test_line_that_is_cut_while_it_is_sent_does_no_harm(
    nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch, hears: bool
) -> None:
    document = {"metadata": {"name": "reader"}, "spec": {}}
    found = deploy_at(cut(nuclio, monkeypatch, hears=hears), document, lambda _: None)
    assert (found.state, found.revision) == ("ready", 1)


class ForgetfulDashboard(RemoteDashboard):
    """One that is started again, so often, between the answer to a change and its work: it tells of the older one."""

    ends = 0

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        if method == "PUT" and ForgetfulDashboard.ends:
            ForgetfulDashboard.ends -= 1
            return Answer(202, None)
        return super().ask(method, path, body, headers)


@pytest.mark.parametrize("ends", [1, 2])
def test_deploy_that_was_forgotten_is_sent_again(nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch, ends: int) -> None:
    deploy_remotely("reader", nuclio.url)
    monkeypatch.setattr(ForgetfulDashboard, "ends", ends)
    document = {"metadata": {"name": "reader"}, "spec": {}}
    assert deploy_at(ForgetfulDashboard(nuclio.url), document, lambda _: None).revision == 2


def test_deploy_that_is_forgotten_every_time_is_not_said_to_be_there(
    nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_remotely("reader", nuclio.url)
    monkeypatch.setattr(ForgetfulDashboard, "ends", 9)
    with pytest.raises(FunctionError, match="was away again and again, and may not have reader yet"):
        deploy_at(ForgetfulDashboard(nuclio.url), {"metadata": {"name": "reader"}, "spec": {}}, lambda _: None)


@pytest.mark.parametrize(("hears", "revision"), [(True, 1), (False, 2)])
def test_rollback_is_never_sent_twice(
    nuclio: Nuclio, monkeypatch: pytest.MonkeyPatch, hears: bool, revision: int
) -> None:
    for _ in range(2):
        deploy_remotely("reader", nuclio.url)
    dashboard = cut(nuclio, monkeypatch, hears=hears)
    if hears:
        assert roll_back_at(dashboard, "reader", 0).revision == 1
    else:
        with pytest.raises(AwayError, match="cut"):
            roll_back_at(dashboard, "reader", 0)
    assert nuclio.revision == revision


def test_rollback_that_did_not_come_up_says_why(nuclio: Nuclio) -> None:
    deploy_remotely("reader", nuclio.url)
    nuclio.message = "The last rollback to revision 1 failed: no module named x"
    with pytest.raises(FunctionError, match="has not gone back: The last rollback to revision 1 failed"):
        roll_back_at(open_dashboard(nuclio.url), "reader", 1)


@pytest.mark.parametrize(
    "document", [None, [], {"status": "odd"}, {"status": {"revision": "v3", "logs": 1}}, {"spec": [1]}]
)
def test_odd_answer_is_a_function_of_which_nothing_is_known(document: Any) -> None:
    found = read_function(document)
    assert (found.state, found.revision, found.version, found.addresses) == ("", 0, "", ())
