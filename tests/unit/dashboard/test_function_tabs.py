"""The tabs of a function that need nothing to run: its triggers, and the events that it is tried with."""

import json
import re
from urllib.parse import urlencode

from stack.dashboard.pages.test import CallRequest, describe_answer
from stack.run import invocation as call
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


def send_form(client: Client, path: str, /, **fields: str) -> Answer:
    body = urlencode(fields).encode()
    return client.send("POST", f"/functions/thermo/{path}", body, content_type="application/x-www-form-urlencoded")


def find_known(client: Client) -> str:
    """Return the digest of the file that the page shows."""
    page = client.send("GET", "/functions/thermo/triggers").body.decode()
    found = re.search(r'name="known" value="(\w+)"', page)
    assert found
    return found[1]


def test_a_topic_that_nothing_publishes_is_told_on_the_tab(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    trigger = "{kind: mqtt, attributes: {subscriptions: [{topic: iot/sensors/temeprature}]}}"
    misspelt = f"spec:\n  triggers:\n    in: {trigger}\n"
    fields = {"known": find_known(client), "view": "yaml", "text": misspelt, "action": "save"}
    told = "nothing here publishes the topic iot/sensors/temeprature"
    assert told in send_form(client, "triggers", **fields).body.decode()
    assert told in client.send("GET", "/functions/thermo/triggers").body.decode()
    right = misspelt.replace("temeprature", "temperature")
    answer = send_form(client, "triggers", known=find_known(client), view="yaml", text=right, action="save")
    assert told not in answer.body.decode()


def test_a_name_that_no_folder_can_have_is_no_function(client: Client) -> None:
    assert client.send("GET", f"/functions/{'x' * 300}/triggers").status == 404


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
    told = send_form(client, "triggers/check", view="yaml", text=_YAML.replace("5s", "5 parsecs")).body.decode()
    found = re.search("data-marks='(.*?)'", told)
    assert found
    (mark,) = json.loads(found[1])
    assert mark["line"] == 6
    assert "5 parsecs" in mark["message"]


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


def send_test(client: Client, path: str, /, **fields: str) -> Answer:
    return send_form(client, f"test/{path}", **{"kind": "text", **fields})


def test_events_are_kept_renamed_and_forgotten(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    event = {"title": "Hot kitchen", "body": "31\r\n", "method": "PUT", "path": "x"}
    kept = send_test(client, "events", **event)
    assert (kept.status, b'value="thermo-hot-kitchen" selected' in kept.body) == (200, True)
    assert json.loads(kept.headers["hx-trigger"])["toast"]["text"] == "Saved as “Hot kitchen”."
    assert send_test(client, "events", **event).status == 409
    assert send_test(client, "events", title="A file", kind="file").status == 400
    renamed = send_test(client, "events", title="Cold", event="thermo-hot-kitchen", rename="true", body="lost")
    assert b"selected>Cold" in renamed.body
    again = send_test(client, "events", **event | {"title": "", "event": "thermo-hot-kitchen", "path": "y"})
    assert b"selected>Cold" in again.body
    listed = client.send("GET", "/api/function_events", x_nuclio_function_name="thermo").json
    assert list(listed) == ["thermo-hot-kitchen"]
    spec = listed["thermo-hot-kitchen"]["spec"]
    assert (spec["displayName"], spec["body"]) == ("Cold", "31\n")
    assert spec["attributes"] == {"method": "PUT", "path": "y", "headers": {}}
    shown = send_test(client, "form", event="thermo-hot-kitchen", load="true").body
    assert b'name="path" value="y"' in shown
    assert send_test(client, "events/thermo-hot-kitchen/delete").status == 200
    assert client.send("GET", "/api/function_events", x_nuclio_function_name="thermo").json == {}


def test_an_event_takes_no_name_of_another_functions(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    theirs = {"metadata": {"name": "thermo-hot", "labels": {"nuclio.io/function-name": "other"}}}
    client.send("POST", "/api/function_events", theirs)
    assert b'value="thermo-hot-2" selected' in send_test(client, "events", title="Hot").body
    assert client.send("GET", "/api/function_events/thermo-hot").status == 200


def test_a_function_that_is_not_deployed_says_so(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    answer = send_test(client, "send")
    assert (answer.status, b"thermo is not deployed. Deploy it, then send this again." in answer.body) == (422, True)
    nowhere = send_test(client, "send", trigger="q")
    assert b"thermo has no trigger &#39;q&#39; on the stack&#39;s broker." in nowhere.body


def test_a_body_that_is_no_json_is_said_to_be_none(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    assert send_test(client, "check", kind="json", body="{").body.startswith(b"No JSON: Expecting property name")
    assert not send_test(client, "check", kind="json", body='{"a": 1}').body
    assert not send_test(client, "check", body="{").body


def test_answers_are_shown_in_every_way_that_they_can_be() -> None:
    headers = [("Content-Type", "application/json"), ("x-nuclio-logs", "[]")]
    logs = [{"time": 1500, "level": "info", "name": "p", "message": "Called", "worker_id": 0, "path": "/a"}]
    answer = call.Answer(200, "OK", headers, b'{"a":1}', 0.5, logs)
    told = describe_answer("thermo", answer, CallRequest())
    assert list(told["views"]) == ["pretty", "text", "hex"]
    assert (told["views"]["pretty"], told["file_name"], told["headers"]) == (
        '{\n  "a": 1\n}', "thermo.json", headers[:1],
    )  # fmt: skip
    assert told["lines"] == [{"time": 1.5, "level": "info", "text": 'Called {"path":"/a"}'}]
    binary = describe_answer("thermo", call.Answer(500, "", [], b"\xff", 0.5), CallRequest())
    assert (list(binary["views"]), binary["level"], binary["file_name"]) == (["hex"], "error", "thermo.bin")


def test_letters_that_no_one_named_are_left_alone(workspace: Workspace, client: Client) -> None:
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


def test_a_call_with_a_file_needs_one(client: Client) -> None:
    answer = send_form(client, "test/send", kind="file", method="POST", path="/")
    assert (answer.status, b"No file is chosen" in answer.body) == (422, True)


def test_the_form_of_a_function_without_a_way_in_is_shown(workspace: Workspace, client: Client) -> None:
    write(workspace, client)
    file = workspace.root / "functions/thermo/function.yaml"
    file.write_text("spec:\n  handler: main:handler\n  disableDefaultHTTPTrigger: true\n")
    assert send_form(client, "test/form", retarget="true").status == 200


def test_a_form_has_a_largest_size(client: Client) -> None:
    body = b"text=" + b"a" * 4_000_000
    answer = client.send("POST", "/functions/thermo/triggers", body, content_type="application/x-www-form-urlencoded")
    assert (answer.status, b"More than 4 MB" in answer.body) == (413, True)
