"""The tabs of a function that need nothing to run: its triggers, and the events that it is tried with."""

import re
from urllib.parse import urlencode

from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client, wait_until

_YAML = """\
# Mine.
spec:
  runtime: python
  handler: main:handler
  triggers:
    clock: {kind: cron, attributes: {interval: 5s}}
"""


def write(workspace: Workspace, client: Client) -> None:
    folder = workspace.root / "functions" / "thermo"
    folder.mkdir()
    (folder / "function.yaml").write_text(_YAML)
    (folder / "main.py").write_text("def handler(context, event):\n    return ''\n")
    wait_until(lambda: "thermo" in client.send("GET", "/api/functions").json, what="a function that is seen")


def send_form(client: Client, path: str, **fields: str) -> Answer:
    body = urlencode(fields).encode()
    return client.send("POST", f"/functions/thermo/{path}", body, content_type="application/x-www-form-urlencoded")


def find_known(client: Client) -> str:
    """Return the digest of the file that the page shows."""
    page = client.send("GET", "/functions/thermo/triggers").body.decode()
    found = re.search(r'name="known" value="(\w+)"', page)
    assert found
    return found[1]


def test_triggers_are_saved_with_their_comments(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    fields = {"known": find_known(client), "view": "form", "text": _YAML.replace("\n", "\r\n"), "action": "save"}
    fields |= {"t.0.name": "clock", "t.0.attributes.interval": "7s", "t.0.numWorkers": "1"}
    answer = send_form(client, "triggers", **fields)
    assert answer.status == 200, answer.body
    saved = (workspace.root / "functions" / "thermo" / "function.yaml").read_text()
    assert saved.startswith("# Mine.\nspec:\n  runtime: python\n")
    assert "interval: 7s" in saved


def test_a_wrong_trigger_is_not_saved(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    fields = {"known": find_known(client), "view": "yaml", "action": "save"}
    answer = send_form(client, "triggers", **fields, text=_YAML.replace("5s", "5 parsecs"))
    assert answer.status == 422
    assert "5 parsecs" not in (workspace.root / "functions" / "thermo" / "function.yaml").read_text()
    told = send_form(client, "triggers/check", view="yaml", text=_YAML.replace("5s", "5 parsecs")).json
    assert told["marks"][0]["line"] == 6
    assert "5 parsecs" in told["marks"][0]["message"]


def test_what_somebody_else_saved_is_not_written_over(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    known = find_known(client)
    path = workspace.root / "functions" / "thermo" / "function.yaml"
    path.write_text(_YAML + "# Theirs.\n")
    answer = send_form(client, "triggers", known=known, view="yaml", action="save", text=_YAML.replace("5s", "9s"))
    assert answer.status == 422
    assert b"changed by somebody else" in answer.body
    assert "# Theirs." in path.read_text()


def test_yaml_that_cannot_be_read_is_shown_as_it_is(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    answer = send_form(client, "triggers", known=find_known(client), view="yaml", action="form", text="spec: {a: [\n")
    assert answer.status == 200
    assert b"spec: {a: [" in answer.body and b"line " in answer.body


def test_events_are_kept_renamed_and_forgotten(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    event = {"title": "Hot kitchen", "body": "31", "attributes": {"method": "PUT", "path": "x"}}
    kept = client.send("POST", "/functions/thermo/test/events", event)
    assert (kept.status, kept.json["name"]) == (201, "thermo-hot-kitchen")
    twice = client.send("POST", "/functions/thermo/test/events", event, accept="application/json")
    assert (twice.status, "already" in twice.json["error"]) == (409, True)
    renamed = {**event, "title": "Cold", "replaces": "thermo-hot-kitchen"}
    assert client.send("POST", "/functions/thermo/test/events", renamed).json["displayName"] == "Cold"
    listed = client.send("GET", "/api/function_events", x_nuclio_function_name="thermo").json
    assert list(listed) == ["thermo-hot-kitchen"]
    assert listed["thermo-hot-kitchen"]["spec"]["attributes"] == {"method": "PUT", "path": "x"}
    assert client.send("DELETE", "/functions/thermo/test/events/thermo-hot-kitchen").status == 204
    assert client.send("GET", "/api/function_events", x_nuclio_function_name="thermo").json == {}


def test_an_event_takes_no_name_of_another_functions(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    theirs = {"metadata": {"name": "thermo-hot", "labels": {"nuclio.io/function-name": "other"}}}
    client.send("POST", "/api/function_events", theirs)
    mine = client.send("POST", "/functions/thermo/test/events", {"title": "Hot"}).json
    assert mine["name"] == "thermo-hot-2"
    assert client.send("GET", "/api/function_events/thermo-hot").status == 200


def test_a_function_that_is_not_deployed_says_so(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    answer = client.send("POST", "/functions/thermo/test/call", {}, accept="application/json")
    assert (answer.status, answer.json["error"]) == (400, "thermo is not deployed. Deploy it, then send this again.")
    nowhere = client.send("POST", "/functions/thermo/test/message", {"trigger": "q"}, accept="application/json")
    assert nowhere.json["error"] == "thermo has no trigger 'q' on the stack's broker."


def test_letters_that_nobody_named_are_left_alone(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    answer = send_form(client, "dead-letters/discard", match="")
    assert answer.status == 400


def test_a_log_is_asked_for_in_words_that_are_understood(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    for query in ("tail=many", "since=yesterday"):
        answer = client.send("GET", f"/functions/thermo/logs/lines?{query}", accept="application/json")
        assert answer.status == 400


def test_code_tab_says_why_it_has_no_code(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    why = b"Its code is not in this folder"
    assert why not in client.send("GET", "/functions/thermo/code").body
    build = "  build: {path: https://code.example/thermo.zip, codeEntryType: archive}\n"
    (workspace.root / "functions" / "thermo" / "function.yaml").write_text(_YAML + build)
    wait_until(lambda: why in client.send("GET", "/functions/thermo/code").body, what="why there is no code")
