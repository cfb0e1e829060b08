"""The editor of alerts; the store is the test's own, and nothing is checked by vmalert."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from stack.config.alert import Alert
from stack.dashboard.pages import alert_file as page
from stack.errors import ConfigError, DataError, EngineError
from stack.run import alert_file as module
from stack.run.alert_preview import PastFiring, Preview
from stack.run.files import digest_content
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client

TEXT = "# The oven.\nwhen: temperature > 30\n"


@pytest.fixture
def watched(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace that keeps readings, with an alert."""
    path, folder = workspace.root / "stack.yaml", workspace.root / "alerts"
    before = path.read_text()
    path.write_text(before + "data: {keep: [{topic: '#'}]}\n")
    folder.mkdir()
    (folder / "hot.yaml").write_text(TEXT)
    monkeypatch.setattr(module, "check_alert", check)
    monkeypatch.setattr(page, "apply_alerts", lambda _: True)
    yield workspace
    path.write_text(before)
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()


def check(_: Any, alert: Alert) -> None:
    if ">>" in alert.config.expr:
        raise ConfigError(["alerts/hot.yaml: cannot parse >>"])


def post(client: Client, path: str, **fields: str) -> Answer:
    kind = "application/x-www-form-urlencoded"
    return client.send("POST", path, urlencode(fields).encode(), Content_Type=kind, HX_Request="true")


def edit(client: Client, document: str, *, action: str = "save", name: str = "hot", known: str | None = None) -> Answer:
    digest = digest_content(TEXT.encode()) if known is None else known
    return post(client, "/alerts/edit", action=action, view="yaml", name=name, known=digest, document=document)


def read_toast(answer: Answer) -> dict[str, str]:
    toast: dict[str, str] = json.loads(answer.headers["hx-trigger"])["toast"]
    return toast


def test_file_is_shown_as_form_and_yaml(client: Client, watched: Workspace) -> None:
    shown = client.send("GET", "/alerts/files/hot").body.decode()
    assert 'value="temperature &gt; 30"' in shown and "Remove" in shown
    shown = edit(client, TEXT, action="yaml").body.decode()
    assert "# The oven." in shown and 'aria-pressed="true">YAML' in shown
    assert client.send("GET", "/alerts/files/none").status == 404
    assert client.send("GET", "/alerts/files/..%2Fstack").status == 404
    assert "New alert" in client.send("GET", "/alerts/new").body.decode()


def test_file_that_is_no_yaml_is_shown_as_it_is(client: Client, watched: Workspace) -> None:
    (watched.root / "alerts/hot.yaml").write_text("when: [")
    shown = client.send("GET", "/alerts/files/hot").body.decode()
    assert "This is wrong" in shown and "when: [</textarea>" in shown


def test_file_is_saved(client: Client, watched: Workspace) -> None:
    answer = edit(client, TEXT.replace("30", "31"))
    assert read_toast(answer) == {"text": "Saved in alerts/hot.yaml. It is watched now.", "level": "ok"}
    assert (watched.root / "alerts/hot.yaml").read_text() == TEXT.replace("30", "31")
    assert b"data-saved" in answer.body and b"data-saved" not in edit(client, TEXT, action="check").body
    answer = edit(client, TEXT, name="other", known="")
    assert (watched.root / "alerts/other.yaml").read_text() == TEXT
    assert answer.headers["hx-replace-url"] == "/alerts/files/other"


def test_first_save_changes_the_head(client: Client, watched: Workspace) -> None:
    shown = edit(client, TEXT, name="other", known="").body.decode()
    assert 'id="alert-head" hx-swap-oob="true"' in shown and "<h1>other</h1>" in shown and "Remove" in shown


def test_file_that_is_saved_and_not_watched_is_known_as_saved(
    client: Client, watched: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise EngineError("Docker does not answer.")

    monkeypatch.setattr(page, "apply_alerts", fail)
    changed = TEXT.replace("30", "31")
    answer = edit(client, changed)
    text = "Saved in alerts/hot.yaml. That does not hold yet: Docker does not answer."
    assert answer.status == 200 and read_toast(answer) == {"text": text, "level": "warn"}
    assert f'name="known" value="{digest_content(changed.encode())}"' in answer.body.decode()
    answer = post(client, "/alerts/files/hot/remove")
    assert "hx-redirect" not in answer.headers and "hot.yaml is removed. That does not" in read_toast(answer)["text"]
    monkeypatch.setattr(page, "apply_alerts", lambda _: False)
    assert "`invoke up` has it watched" in read_toast(edit(client, TEXT, name="other", known=""))["text"]


def test_lines_of_a_query_stay(client: Client, watched: Workspace) -> None:
    text = "expr: |\n  # ovens\n  max(temperature) > 30\n  and on() vector(1)\ntext: |\n  It is hot.\n  Go.\n"
    (watched.root / "alerts/hot.yaml").write_text(text)
    shown = client.send("GET", "/alerts/files/hot").body.decode()
    fields = dict(re.findall(r'<input [^>]*name="([a-z]+)" value="([^"]*)"', shown.partition("<section")[2]))
    fields |= dict(re.findall(r'<textarea [^>]*name="([a-z]+)"[^>]*>\n?([^<]*)</textarea>', shown))
    assert fields["expr"].count("\n") == 3 and fields["text"].count("\n") == 2
    form = {name: html.unescape(value).replace("\n", "\r\n") for name, value in fields.items()}
    known = digest_content(text.encode())
    form |= {"action": "save", "view": "form", "name": "hot", "known": known, "document": text, "severity": "warning"}
    assert post(client, "/alerts/edit", **form).status == 200
    assert (watched.root / "alerts/hot.yaml").read_text() == text


def test_form_is_written_into_the_file(client: Client, watched: Workspace) -> None:
    fields = {"when": "temperature > 32", "forget": "7d", "for": "0s", "severity": "critical"}
    known = digest_content(TEXT.encode())
    post(client, "/alerts/edit", action="save", view="form", name="hot", known=known, document=TEXT, **fields)
    assert (watched.root / "alerts/hot.yaml").read_text() == "# The oven.\nwhen: temperature > 32\nseverity: critical\n"


@pytest.mark.parametrize(
    ("document", "fields", "words"),
    [
        ("when: temperature\n", {}, "should be such as"),
        ("expr: a >> 3\n", {}, "cannot parse"),
        (TEXT, {"name": "a b", "known": ""}, "should be a name such as oven-hot"),
        (TEXT, {"known": ""}, "is there already"),
        (TEXT, {"known": "other"}, "was changed by somebody else"),
    ],
)
def test_what_is_wrong_is_not_saved(
    client: Client, watched: Workspace, document: str, fields: dict[str, str], words: str
) -> None:
    answer = edit(client, document, **fields)
    assert answer.status == 422 and words in answer.body.decode()
    assert (watched.root / "alerts/hot.yaml").read_text() == TEXT


def test_file_is_removed(client: Client, watched: Workspace) -> None:
    assert post(client, "/alerts/files/hot/remove").headers["hx-redirect"] == "/alerts"
    assert not (watched.root / "alerts/hot.yaml").exists()
    answer = post(client, "/alerts/files/hot/remove")
    assert answer.status == 404 and "There is no file alerts/hot.yaml." in answer.body.decode()


def test_preview_says_how_often(client: Client, watched: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [PastFiring({"sensor": "o<ven"}, 60.0 * at, 60.0 * at + 30) for at in range(7)]
    monkeypatch.setattr(page, "look_back", lambda *_: Preview(found, 60))

    def preview(document: str) -> str:
        return post(client, "/alerts/preview", view="yaml", document=document).body.decode()

    shown = preview(TEXT)
    assert "<strong>7 times</strong>" in shown and shown.count("o&lt;ven") == 5 and "/data?q=" in shown
    assert "Shown once the alert can be read" in preview("when: temperature")
    assert "minute by minute" in shown
    monkeypatch.setattr(page, "look_back", lambda *_: Preview(found, 6000))
    assert "each 100 minutes" in preview(TEXT)
    assert "Nothing of it was stored" not in shown
    found.clear()
    monkeypatch.setattr(page, "look_back", lambda *_: Preview((), 60, is_unknown=True))
    assert "Nothing of it was stored" in preview(TEXT)
    monkeypatch.setattr(page, "look_back", lambda *_: Preview(found, 60))
    assert "would not have fired" in preview(TEXT)

    def fail(*_: Any) -> None:
        raise DataError("It is away.")

    monkeypatch.setattr(page, "look_back", fail)
    assert "It is away." in preview(TEXT)
