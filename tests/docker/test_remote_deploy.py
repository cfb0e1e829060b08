"""A function goes from one workspace to the stack of another, through its dashboard, and goes with its project."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.docker.workspace import Workspace, fetch, make_workspace

CODE = "import words\n\n\ndef handler(context, event):\n    return words.GREETING + event.body.decode()\n"
CONFIG = "metadata: {labels: {nuclio.io/project-name: guests}}\nspec: {handler: 'main:handler'}\n"


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, names, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        content = answer.read()
        return answer.status, json.loads(content) if content else None


def test_function_is_deployed_elsewhere_and_deleted_with_its_project(workspace: Workspace, tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{workspace.settings.ports.dashboard}/api"
    guest = make_workspace(tmp_path / "guest", functions=False)
    guest.write_function("visitor", CODE, CONFIG, {"words.py": "GREETING = 'hello '\n"})

    result = guest.invoke("deploy-function", "visitor", "--via", api.removesuffix("/api"))
    address = f"http://127.0.0.1:{workspace.settings.ports.gateway}/visitor"
    assert result.stdout == f"{address}\n"
    assert "visitor: building" in result.stderr
    assert fetch(address, b"world") == (200, "hello world")
    # What was deployed from afar is a folder here, which git shows.
    assert (workspace.root / "functions/visitor/words.py").read_text() == "GREETING = 'hello '\n"
    assert (workspace.root / "functions/.projects/guests.yaml").is_file()
    assert workspace.functions()["visitor"]["project"] == "guests"

    named = {"metadata": {"name": "guests"}}
    cascading = {"X_Nuclio_Delete_Project_Strategy": "cascading"}
    assert ask(f"{api}/projects", "DELETE", named, **cascading) == (204, None)
    assert workspace.containers("function-visitor") == []
    assert "visitor" not in ask(f"{api}/functions")[1]
    assert "guests" not in ask(f"{api}/projects")[1]
    assert not (workspace.root / "functions/visitor").exists()
