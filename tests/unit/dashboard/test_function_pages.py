"""The functions' pages, as far as nothing has to run: the list, new functions, their files, their revisions."""

import json
import re
from urllib.parse import urlencode

import pytest

from stack.config.settings import Settings
from stack.config.source import load_function
from stack.plan.function import plan_function
from stack.state.deployment import forget_deployment, record_deployment
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client, wait_until
from tests.unit.plan.test_exchange import EXPORT

_JSON = "application/json"
_CODE = "def handler(context, event):\n    return 'one'\n"


def create(client: Client, **fields: str) -> Answer:
    return send_form(client, "/functions/new", {"name": "echo", "template": "blank", **fields})


def send_form(client: Client, path: str, fields: dict[str, str]) -> Answer:
    body = urlencode(fields).encode()
    return client.send("POST", path, body, content_type="application/x-www-form-urlencoded", hx_request="true")


def put(client: Client, path: str, text: str, *, known: str | None = None) -> Answer:
    query = urlencode({"path": path} | ({} if known is None else {"known": known}))
    return client.send("PUT", f"/functions/echo/file?{query}", text.encode(), accept=_JSON)


def test_a_function_is_made_of_a_template_in_a_project(workspace: Workspace, client: Client) -> None:
    answer = create(client, project="iot")
    assert (answer.status, answer.headers["hx-redirect"]) == (204, "/functions/echo/code")
    page = client.send("GET", "/functions").body.decode()
    assert 'id="project-iot"' in page
    assert 'data-row="echo"' in page
    assert (workspace.root / "functions/.projects/iot.yaml").is_file()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a/b"}, "A function&#39;s name should be"),
        ({"template": "kafka"}, "There is no template"),
        ({"runtime": "go"}, "should be one of python, nodejs"),
        ({"project": "No Good"}, "lower-case letters"),
    ],
)
def test_what_cannot_be_made_is_said_in_the_form(
    fields: dict[str, str], message: str, workspace: Workspace, client: Client
) -> None:
    answer = create(client, **fields)
    assert (answer.status, message in answer.body.decode()) == (422, True), answer.body
    assert not (workspace.root / "functions/echo").exists()


def test_a_function_is_made_in_node_js(workspace: Workspace, client: Client) -> None:
    assert '<option value="nodejs">Node.js</option>' in client.send("GET", "/functions/new").body.decode()
    assert create(client, runtime="nodejs").status == 204
    assert {path.name for path in (workspace.root / "functions/echo").iterdir()} == {
        "function.yaml",
        "main.js",
        "test.js",
    }
    page = client.send("GET", "/functions/echo/code").body.decode()
    assert ('data-first="main.js"' in page, "such as lib/units.js" in page) == (True, True)
    draft = {"path": "main.js", "text": "exports.handle = () => 1;"}
    told = send_form(client, "/functions/echo/check", draft).body.decode()
    assert "main.js has no &#39;handler&#39;; did you mean &#39;handle&#39;?" in told
    assert 'data-line="1"' in told
    for fine in ({**draft, "path": "lib.js"}, {**draft, "text": "exports.handler = () => 1;"}):
        assert not send_form(client, "/functions/echo/check", fine).body.strip()


def test_a_function_is_made_of_a_document(client: Client) -> None:
    answer = send_form(client, "/functions/new/yaml", {"text": EXPORT, "to_broker": "on"})
    assert (answer.status, "Open amqpconsume" in answer.body.decode()) == (200, True)
    again = send_form(client, "/functions/new/yaml", {"text": EXPORT})
    assert (again.status, "there already" in again.body.decode()) == (422, True)
    nodejs = send_form(client, "/functions/new/yaml", {"text": EXPORT.replace("python", "nodejs")})
    assert "&#39;nodejs:3.9&#39; is not supported; Tidegate runs python" in nodejs.body.decode()
    exported = client.send("GET", "/functions/amqpconsume/export")
    assert exported.headers["content-disposition"] == 'attachment; filename="amqpconsume.yaml"'
    assert b"functionSourceCode" in exported.body


def test_a_project_is_made_once(client: Client) -> None:
    wanted = {"name": "iot", "description": "What measures"}
    assert b"What measures" in send_form(client, "/projects", wanted).body
    assert send_form(client, "/projects", wanted).status == 409
    assert b"project: metadata" in send_form(client, "/projects", {"name": "No"}).body
    assert "What measures" in client.send("GET", "/functions").body.decode()


def test_files_are_read_and_written(workspace: Workspace, client: Client) -> None:
    create(client)
    listed = client.send("GET", "/functions/echo/files").body.decode()
    assert re.findall('data-path="(.*?)"', listed) == ["function.yaml", "main.py", "test_main.py"]
    read = client.send("GET", "/functions/echo/file?path=main.py").json
    (workspace.root / "functions/echo/main.py").write_text("theirs")
    refused = put(client, "main.py", _CODE, known=read["digest"])
    assert (refused.status, "was changed by somebody else" in refused.json["error"]) == (409, True)
    now = client.send("GET", "/functions/echo/file?path=main.py").json
    assert put(client, "main.py", _CODE, known=now["digest"]).status == 200
    assert (workspace.root / "functions/echo/main.py").read_text() == _CODE
    assert put(client, "../out.py", "").status == 400
    assert client.send("GET", "/functions/echo/file?path=../../stack.yaml", accept=_JSON).status == 400
    sent = client.send("GET", "/functions/echo/file?path=main.py&download")
    assert (sent.body.decode(), sent.headers["content-type"]) == (_CODE, "application/octet-stream")


def test_files_are_made_renamed_and_removed(workspace: Workspace, client: Client) -> None:
    create(client)
    folder = workspace.root / "functions/echo"
    made = send_form(client, "/functions/echo/files", {"path": "lib/a.py"})
    assert json.loads(made.headers["hx-trigger-after-swap"]) == {"open-file": {"path": "lib/a.py"}}
    assert send_form(client, "/functions/echo/files", {"path": "lib/a.py"}).status == 409
    assert send_form(client, "/functions/echo/rename", {"path": "lib/a.py", "new": "b.py"}).status == 200
    assert (folder / "b.py").is_file()
    assert b"b.py" not in client.send("DELETE", "/functions/echo/file?path=b.py").body


def test_an_upload_asks_before_it_writes_over(workspace: Workspace, client: Client) -> None:
    create(client)
    path = workspace.root / "functions/echo/main.py"

    def upload(more: str = "") -> Answer:
        part = '--x\r\nContent-Disposition: form-data; name="files"; filename="main.py"\r\n\r\nmine\r\n'
        body = f"{part}{more}--x--\r\n".encode()
        return client.send(
            "POST", "/functions/echo/upload", body, content_type="multipart/form-data; boundary=x", hx_request="true"
        )

    asked = upload()
    assert (asked.headers["hx-retarget"], b"main.py is there already" in asked.body) == ("#dialog", True)
    assert path.read_text() != "mine"
    upload('--x\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n')
    assert path.read_text() == "mine"
    empty = b'--x\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n--x--\r\n'
    again = client.send("POST", "/functions/echo/upload", empty, content_type="multipart/form-data; boundary=x")
    assert (again.status, b"choose the files again" in again.body) == (400, True)


def test_a_check_tells_what_is_wrong_with_a_text_or_with_the_folder_as_a_whole(client: Client) -> None:
    create(client)
    put(client, "function.yaml", "spec:\n  handler: other:handler\n")
    found = send_form(client, "/functions/echo/check", {"path": "function.yaml"}).body.decode()
    assert 'data-line="2"' in found
    assert "spec.handler" in found
    draft = {"path": "main.py", "text": "def ("}
    assert 'data-line="1"' in send_form(client, "/functions/echo/check", draft).body.decode()
    assert not send_form(client, "/functions/echo/check", {**draft, "text": "a = 1"}).body.strip()


def test_revisions_are_compared_and_restored(workspace: Workspace, client: Client) -> None:
    create(client)
    folder = workspace.root / "functions/echo"
    (folder / "main.py").write_text(_CODE)
    record_deployment(workspace, plan_function(load_function(folder), Settings()), image="echo:1", message="the first")
    try:
        (folder / "main.py").write_text(_CODE.replace("one", "two"))
        path = "/functions/echo/revisions?before=1&after=0"
        wait_until(lambda: b"the first" in client.send("GET", path).body, what="the revision")
        assert b"<ins>+     return &#39;two&#39;</ins>" in client.send("GET", path).body
        restored = client.send("POST", "/functions/echo/revisions/1/restore")
        assert restored.headers["hx-redirect"] == "/functions/echo/code"
        assert (folder / "main.py").read_text() == _CODE
        assert client.send("POST", "/functions/echo/revisions/7/restore", accept=_JSON).status == 400
        assert client.send("GET", "/functions/echo/revisions?before=x&after=0").status == 400
    finally:
        forget_deployment(workspace, "echo")


def test_what_is_not_there_is_not_found(client: Client) -> None:
    for path in ("code", "revisions", "export", "delete"):
        assert client.send("GET", f"/functions/nobody/{path}").status == 404
    for path in ("deploy", "scale", "switch", "delete", "roll-back"):
        assert client.send("POST", f"/functions/nobody/{path}", {"replicas": 1, "disable": True}).status == 404
