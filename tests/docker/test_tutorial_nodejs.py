"""The tutorial's own documents, byte for byte, each way that a function comes in; and its client and logger."""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import yaml

from tests.docker.test_example import ADDRESS, TUTORIAL, node_folder
from tests.docker.workspace import ROOT, Workspace, fetch, wait_until
from tests.unit.dashboard.serving import Client

__all__ = ["node_folder"]

NAMES = ("amqpconsume", "amqpevent")
HINT = "spec.triggers.amqp: nothing here publishes the routing key temeprature; iot/sensors gets temperature from "
FEEDBACK = " [x] Received 'Invoked Function amqpconsume on "
FORM = "application/x-www-form-urlencoded"


def test_the_tutorials_documents_run_as_they_are(fresh_workspace: Workspace, node_folder: Path) -> None:
    """One stack for all ways, and for Tidegate's own example on Node.js at the end."""
    workspace = fresh_workspace
    workspace.invoke("up", timeout=280)
    client = Client(workspace.settings.ports.dashboard)
    check_import(workspace)
    check_example(workspace, node_folder)
    remove(client)
    check_dashboard(client)
    check_functions(workspace)
    remove(client)
    check_api(client)
    check_functions(workspace)
    remove(client)
    check_demo(workspace)


def check_import(workspace: Workspace) -> None:
    """Import and deploy; once the misspelt key is the one that the hint names, there is no hint."""
    for name in NAMES:
        told = workspace.invoke("import-function", str(TUTORIAL / f"{name}.yaml"), "--broker").stderr
        assert "amqp://…@172.16.15.52:5672 is now process.env.BROKER_URL" in told
    assert HINT in workspace.invoke("deploy-function", "--all", timeout=280).stderr
    assert fetch(workspace.url("amqpevent")) == (200, "send 20")
    unheard = "1 message came to iot/sensors so far, and none had a routing key that a queue is bound to"
    assert HINT in workspace.invoke("status").stderr
    wait_until(lambda: unheard in workspace.invoke("status").stderr)
    path = workspace.root / "functions" / "amqpconsume" / "function.yaml"
    assert "- temeprature\n" in path.read_text()
    path.write_text(path.read_text().replace("- temeprature\n", "- temperature\n"))
    assert HINT not in workspace.invoke("deploy-function", "amqpconsume").stderr


def check_example(workspace: Workspace, node_folder: Path) -> None:
    """Run the tutorial's logger and client, and its second function: each reading comes back as a line."""
    for name in ("logger.js", "client.js"):
        text = (TUTORIAL / name).read_text().replace(ADDRESS, workspace.people_url.rstrip("/"))
        (node_folder / name).write_text(text)
    logger = subprocess.Popen(["node", "logger.js"], cwd=node_folder, stdout=subprocess.PIPE, text=True)
    try:
        assert logger.stdout
        assert "Waiting for messages" in logger.stdout.readline()
        done = subprocess.run(["node", "client.js", "20"], cwd=node_folder, capture_output=True, text=True, timeout=60)
        sent = re.findall(r"Sent temperature:'(\d+)'", done.stdout)
        received = [logger.stdout.readline() for _ in sent]
        assert len(sent) == 20
        assert sorted(received) == sorted(f"{FEEDBACK}{value}'\n" for value in sent)
        assert fetch(workspace.url("amqpevent")) == (200, "send 20")
        assert logger.stdout.readline() == f"{FEEDBACK}20'\n"
    finally:
        logger.terminate()
        logger.communicate(timeout=10)


def check_dashboard(client: Client) -> None:
    """Import and deploy as the pages do."""
    for name in NAMES:
        form = urlencode({"text": (TUTORIAL / f"{name}.yaml").read_text(), "to_broker": "on"}).encode()
        assert b"process.env.BROKER_URL" in client.send("POST", "/functions/new/yaml", form, content_type=FORM).body
        assert client.send("POST", f"/functions/{name}/deploy", b"", content_type=FORM).status == 204
    wait_until_ready(client)
    assert HINT in client.send("GET", "/functions/amqpconsume/triggers").body.decode()


def check_api(client: Client) -> None:
    """Deploy as a client of Nuclio's does."""
    for name in NAMES:
        document = yaml.safe_load((TUTORIAL / f"{name}.yaml").read_text())
        assert client.send("POST", "/api/functions", document, X_Tidegate_Own_Broker="true").status == 202
    wait_until_ready(client)
    log = client.send("GET", "/api/functions/amqpconsume").json["status"]["logs"]
    told = "main.js, line 5: amqp://…@172.16.15.52:5672 is now process.env.BROKER_URL."
    assert told in [one["message"] for one in log]
    assert any(one["message"].startswith(HINT) for one in log)


def check_functions(workspace: Workspace) -> None:
    """Have both work as their author meant, with the key that the one is bound to."""
    assert fetch(workspace.url("amqpevent")) == (200, "send 20")
    workspace.invoke("publish", "--exchange", "iot/sensors", "--key", "temeprature", "--body", "18")
    shown = workspace.invoke("logger", "--count", "1").stdout
    assert shown == f"{FEEDBACK}18'\n"


def check_demo(workspace: Workspace) -> None:
    """Run the example of functions/ on Node.js, over both protocols."""
    shutil.copytree(ROOT / "functions", workspace.root / "functions", dirs_exist_ok=True)
    options = ("--runtime", "nodejs", "--count", "20", "--rate", "0", "--protocol", "both", "--json")
    shown = workspace.invoke("demo", *options, timeout=280)
    verdict = json.loads(shown.stdout)
    assert (verdict["sent"], verdict["handled"], verdict["lost"], verdict["alerts"]) == (40, 40, 0, 4)
    assert "functions/amqpconsume/function.yaml: its runtime is nodejs now." in shown.stderr
    for name in ("amqpevent", "mqttevent"):
        assert workspace.invoke("invoke-function", name, "--body", "21.50").stdout == "send 21.50"
        assert workspace.invoke("invoke-function", name, "--body", "warm", check=False).returncode == 1


def remove(client: Client) -> None:
    """Forget the functions with their folders, so that they come in again."""
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda name: client.send("DELETE", "/api/functions", {"metadata": {"name": name}}), NAMES)
        assert [one.status for one in answers] == [204, 204]


def wait_until_ready(client: Client) -> None:
    def is_ready(name: str) -> bool:
        state = client.send("GET", f"/api/functions/{name}").json["status"]["state"]
        assert state != "error"
        return bool(state == "ready")

    wait_until(lambda: all(map(is_ready, NAMES)), seconds=120, what="ready functions")
