"""Secrets as their user sets, lists and removes them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.run.secret import SecretCommand, handle_secrets
from stack.state.deployment import record_deployment
from stack.state.workspace import PROGRAM, Workspace
from tests.unit.plan.samples import make_plan

COMMAND = [sys.executable, "-m", "invoke", "--search-root", str(PROGRAM), "secret"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    return tmp_path


def order(action: str, name: str = "", key: str = "", **more: object) -> None:
    handle_secrets(SecretCommand(action, name, key, **more), as_json=False)  # type: ignore[arg-type]


def content_of(workspace: Path, name: str) -> bytes:
    return (workspace / ".stack" / "secrets" / name).read_bytes()


@pytest.mark.parametrize(
    ("piped", "kept"), [(b"word\n", b"word"), (b"word\r\n", b"word"), (b"a\n\n", b"a\n"), (b"\0\xff", b"\0\xff")]
)
def test_value_from_a_pipe(piped: bytes, kept: bytes, workspace: Path) -> None:
    result = subprocess.run([*COMMAND, "set", "db", "password"], input=piped, capture_output=True, check=True)
    assert content_of(workspace, "db.password") == kept
    assert b"word" not in result.stdout + result.stderr.replace(b"password", b"")


def test_value_typed_on_a_terminal_does_not_show(workspace: Path) -> None:
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "set", "db", "key"], stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    ) as process:
        os.close(inner)
        shown = b""
        while b"does not show" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"hunter2\n")
        assert process.wait(30) == 0
        shown += os.read(terminal, 10_000)
    os.close(terminal)
    assert content_of(workspace, "db.key") == b"hunter2"
    assert b"hunter2" not in shown


def test_value_from_a_file_is_kept_byte_for_byte(workspace: Path) -> None:
    (workspace / "value").write_bytes(b"a\n\0")
    order("set", "db", "key", file=str(workspace / "value"))
    assert content_of(workspace, "db.key") == b"a\n\0"


def test_list_names_the_functions_and_no_value(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in {"reader": "[{secretRef: {name: db}}]", "wrong": "5", "other": "[]"}.items():
        (workspace / "functions" / name).mkdir(parents=True)
        (workspace / "functions" / name / "function.yaml").write_text(f"spec: {{envFrom: {text}}}")
    order("set", "db", "key", value="hunter2")
    handle_secrets(SecretCommand("list", "", ""), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == [
        {"name": "broker", "key": "mqtt", "usedBy": [], "deployed": []},
        {"name": "broker", "key": "signature-key", "usedBy": ["other", "reader"], "deployed": []},
        {"name": "broker", "key": "url", "usedBy": [], "deployed": []},
        {"name": "db", "key": "key", "usedBy": ["reader"], "deployed": []},
    ]
    assert "functions/wrong/function.yaml: spec.envFrom" in printed.err
    assert "hunter2" not in printed.err


def test_secret_for_fetching_code_is_a_use(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = {"path": "https://git.example/a.git", "codeEntryType": "git", "codeEntryAttributes": {"secret": "db"}}
    order("set", "db", "password", value="x")
    record_deployment(Workspace(workspace), make_plan("fetched", build=build), image="image:1")
    with pytest.raises(StackError, match=r"db\.password is used by fetched\.\nNothing was removed"):
        order("remove", "db")
    capsys.readouterr()
    order("set", "db", "password", value="y")
    assert "invoke up" not in capsys.readouterr().err
    order("remove", "db", force=True)


def test_secret_of_a_channel_or_bridge_is_a_use(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "stack.yaml").write_text(
        "notify: {channels: {oncall: {telegram: {secret: tell.token, chat: 1}}}}\n"
        "bridge: [{name: hq, to: 'amqps://hq.example/', secret: hq.account, topics: ['plant/#']}]\n"
    )
    for name, key, place in (("tell", "token", "channel oncall"), ("hq", "account", "bridge hq")):
        order("set", name, key, value="tidegate-bridge-a:b")
        assert f"Next: `invoke up` has it used for {place}." in capsys.readouterr().err
        with pytest.raises(StackError, match=rf"{name}\.{key} is used by {place}\.\nNothing was removed"):
            order("remove", name)


def test_secret_of_a_site_is_a_use(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "sites.yaml").write_text("sites: [{name: north, via: 'https://north.example', secret: sites.north}]\n")
    order("set", "sites", "north", value="token")
    assert "It is used for site north from now on." in capsys.readouterr().err
    order("list")
    assert "site north" in capsys.readouterr().out


def test_remove_takes_one_key_or_all(workspace: Path) -> None:
    for key in ("a", "b", "c"):
        order("set", "db", key, value="x")
    order("remove", "db", "a")
    assert sorted(path.name for path in (workspace / ".stack" / "secrets").glob("db.*")) == ["db.b", "db.c"]
    order("remove", "db")
    assert not list((workspace / ".stack" / "secrets").glob("db.*"))
    with pytest.raises(StackError, match=r"There is no secret db\. Known: broker.mqtt, .*, broker.url\."):
        order("remove", "db")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (SecretCommand("lst", "", ""), "There is no `secret lst`"),
        (SecretCommand("set", "db", "", "x"), "Name a secret and a key"),
        (SecretCommand("set", "My.Db", "key", "x"), "lower-case letters"),
        (SecretCommand("set", "db", "a/b", "x"), "letters, digits"),
        (SecretCommand("set", "broker", "url", "x"), "the stack's own; `invoke credentials`"),
        (SecretCommand("remove", "broker", ""), "the stack's own"),
        (SecretCommand("set", "db", "key", "x", "file"), "not both"),
        (SecretCommand("set", "db", "key", file="/nowhere"), "cannot be read: No such file"),
        (SecretCommand("set", "db", "key", file="/dev/null"), "There is no value"),
        (SecretCommand("set", "db", "key", "x" * (2**20 + 1)), "longer than a secret's may be"),
    ],
)
def test_what_is_wrong_is_told(wrong: SecretCommand, message: str) -> None:
    with pytest.raises(StackError, match=message):
        handle_secrets(wrong, as_json=False)
