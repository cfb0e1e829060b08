"""Functions: deployed, replaced, broken, deleted."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pika
import pytest

from tests.docker.workspace import Workspace, fetch, run_docker, wait_until
from tests.ports import free_port

Author = Callable[..., Path]

SPEC_KEYS = {"name", "project", "state", "url", "image", "replicas", "triggers"}

# Tells what the function finds in its container.
INSPECTOR = """
import json, os, pathlib

def handler(context, event):
    pathlib.Path("written").write_text("x")
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return json.dumps({
        "uid": os.getuid(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "capabilities": [int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "mounted": pathlib.Path("/mnt/data/note").read_text(),
    })
"""

# Asks a function over Docker's network, as another function would, and prints what was not an answer.
POLLER = """
import sys, time, urllib.request

def ask():
    with urllib.request.urlopen(sys.argv[1], timeout=5) as response:
        return response.read().decode()

answer = ""
while True:
    try:
        try:
            text = ask()
        except OSError:
            # A connection may come between a container's last look at its listener and the end of that.
            text = ask()
    except OSError as error:
        text = f"error: {error}"
    if text != answer:
        answer = text
        print(answer, flush=True)
    time.sleep(0.005)
"""


def answer(text: str) -> str:
    return f"def handler(context, event):\n    return {text!r}\n"


def ask(workspace: Workspace, name: str) -> str:
    """Return what a function, which has one container, answers."""
    (_,) = workspace.containers(f"function-{name}")
    status, text = fetch(workspace.url(name), timeout=40)
    assert status == 200, text
    return text


def read_state(workspace: Workspace, name: str) -> tuple[str, str, list[str]]:
    """What is remembered and rendered of a function, and its containers."""
    deployment = (workspace.rendered / "state" / "functions" / f"{name}.json").read_text()
    compose = (workspace.rendered / "compose.yaml").read_text()
    service = re.search(rf"^  function-{name}:\n(?:    .*\n|\n)*", compose, re.MULTILINE)
    assert service
    return deployment, service[0], workspace.containers(f"function-{name}")


def test_deployed_function_answers(workspace: Workspace, author: Author) -> None:
    author("answers", answer("one"))
    result = workspace.invoke("deploy-function", "answers")
    url = workspace.url("answers")
    assert url in result.stdout
    assert fetch(url) == (200, "one")
    listed = workspace.functions()["answers"]
    assert set(listed) == SPEC_KEYS
    assert listed | {"image": ""} == {
        "name": "answers",
        "project": "default",
        "state": "ready",
        "url": url,
        "image": "",
        "replicas": 1,
        "triggers": [{"name": "default-http", "kind": "http"}],
    }
    assert listed["image"].startswith("nuclio/processor-answers:")
    services = {one["service"]: one for one in json.loads(workspace.invoke("status", "--json").stdout)}
    assert services["function-answers"]["address"] == url
    assert "Ready" in workspace.invoke("logs", "answers").stdout


def test_function_that_is_not_deployed_is_listed(workspace: Workspace, author: Author) -> None:
    author("waits", answer("one"))
    listed = workspace.functions()["waits"]
    assert (listed["state"], listed["url"], listed["replicas"]) == ("not deployed", "", 0)


def test_deploy_of_what_runs_changes_nothing(workspace: Workspace, author: Author) -> None:
    author("steady", answer("one"))
    workspace.invoke("deploy-function", "steady")
    before = workspace.containers()
    workspace.invoke("deploy-function", "steady")
    workspace.invoke("up")
    assert workspace.containers() == before


def test_redeploy_leaves_no_gap(workspace: Workspace, author: Author) -> None:
    author("poller", answer("poller"))
    folder = author("renewed", answer("one"))
    workspace.invoke("deploy-function", "poller")
    workspace.invoke("deploy-function", "renewed")
    old = workspace.containers("function-renewed")
    (poller,) = workspace.containers("function-poller")
    command = ["docker", "exec", poller, "python3", "-c", POLLER, "http://function-renewed:8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as polling:
        answers: list[str] = []
        reader = threading.Thread(target=lambda: answers.extend(line.strip() for line in polling.stdout or ()))
        reader.start()
        wait_until(lambda: answers == ["one"], what="the first answer")
        (folder / "main.py").write_text(answer("two"))
        workspace.invoke("deploy-function", "renewed")
        wait_until(lambda: answers[-1] == "two", what="the answer of the new version")
        polling.kill()
        reader.join()
    assert set(answers) <= {"one", "two"}  # while both run, either answers
    assert answers[-1] == "two"
    assert ask(workspace, "renewed") == "two"
    assert set(workspace.containers("function-renewed")).isdisjoint(old)


BROKEN = {
    "syntax": ("def handler(:\n", "{}\n", "functions/works/main.py, line 1: SyntaxError: invalid syntax"),
    "import": (
        "import no_such_module\n" + answer("two"),
        "{}\n",
        "No module named 'no_such_module'\nAdd no_such_module, or the package that has it, to functions/works/requ",
    ),
    "handler": (
        "def handle(context, event):\n    return 1\n",
        "{}\n",
        "main.py has no 'handler'; did you mean 'handle'?",
    ),
    "prepare": (
        "def init_context(context):\n    raise RuntimeError('no sensor here')\n" + answer("two"),
        "spec: {readinessTimeoutSeconds: 10}\n",
        "no sensor here",
    ),
    "command": (answer("two"), "spec: {build: {commands: [echo about to fail, exit 7]}}\n", "exit code: 7"),
}


@pytest.fixture(scope="module")
def working(workspace: Workspace) -> Iterator[Path]:
    """The folder of a function that works, for tests that try to break it."""
    folder = workspace.write_function("works", answer("one"))
    workspace.invoke("deploy-function", "works")
    yield folder
    workspace.note_images()
    workspace.invoke("delete-function", "works", "--yes")
    shutil.rmtree(folder)


@pytest.mark.parametrize("case", BROKEN)
def test_broken_version_does_not_replace_the_old(workspace: Workspace, working: Path, case: str) -> None:
    code, config, message = BROKEN[case]
    before = read_state(workspace, "works")
    (working / "main.py").write_text(code)
    (working / "function.yaml").write_text(config)
    result = workspace.invoke("deploy-function", "works", check=False)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback (most recent call last)" not in result.stderr.partition("Its last lines")[0]
    assert re.search(r"\nRevision 1 of works runs as before\.\n\Z", result.stderr)
    assert ask(workspace, "works") == "one"
    assert read_state(workspace, "works") == before


def test_up_after_a_broken_version_changes_nothing(workspace: Workspace, working: Path) -> None:
    (working / "main.py").write_text("from nowhere import handler\n")
    assert workspace.invoke("deploy-function", "works", check=False).returncode == 1
    before = workspace.containers()
    assert "nothing was changed" in workspace.invoke("up").stderr
    assert workspace.containers() == before


def test_broken_new_function_leaves_nothing(workspace: Workspace, author: Author) -> None:
    author("stillborn", "from nowhere import handler\n")
    result = workspace.invoke("deploy-function", "stillborn", check=False)
    assert (result.returncode, "named 'nowhere'" in result.stderr) == (1, True)
    assert workspace.containers("function-stillborn") == []
    assert workspace.functions()["stillborn"]["state"] == "not deployed"
    assert "nothing was changed" in workspace.invoke("up").stderr


def test_one_of_several_broken(workspace: Workspace, author: Author) -> None:
    """The others are deployed, and the file that Compose reads tells so."""
    author("good", answer("good"))
    author("bad", "from nowhere import handler\n")
    author("better", answer("better"))
    for name in ("good", "better"):
        workspace.invoke("deploy-function", name)
    (workspace.root / "functions/good/main.py").write_text(answer("good two"))
    assert workspace.invoke("deploy-function", "bad", check=False).returncode == 1
    workspace.invoke("deploy-function", "good")
    assert (ask(workspace, "good"), ask(workspace, "better")) == ("good two", "better")
    rendered = {name: "profiles:" in render_service(workspace, name) for name in ("good", "bad", "better")}
    assert rendered == {"good": False, "bad": True, "better": False}


@pytest.mark.slow
def test_images_that_are_made_together(workspace: Workspace, author: Author) -> None:
    """Each log tells of its own image, and one that cannot be made is no other's matter."""
    names = [f"many-{number}" for number in range(4)]
    for name in names:
        author(name, answer(name))
    author("many-bad", answer("bad"), "spec: {build: {commands: [exit 7]}}\n")
    result = workspace.invoke("deploy-function", "--all", check=False)
    assert result.returncode == 1
    assert re.search("many-bad was not deployed.*exit code: 7", result.stderr, re.DOTALL)
    (workspace.root / "functions/many-bad/function.yaml").write_text("spec: {}\n")
    workspace.invoke("deploy-function", "many-bad")
    assert [ask(workspace, name) for name in [*names, "many-bad"]] == [*names, "bad"]
    told = [(workspace.root / f".stack/state/deploys/{name}.jsonl").read_text() for name in names]
    # The one that fails may end the build before another is begun, which is then made alone.
    found = [[name for name in names if f"[{name} " in text] for text in told]
    assert any(found)
    assert all(one in ([], [name]) for name, one in zip(names, found, strict=True))


def render_service(workspace: Workspace, name: str) -> str:
    compose = (workspace.rendered / "compose.yaml").read_text()
    return compose.partition(f"  function-{name}:\n")[2].partition("\n\n")[0]


def test_delete_without_a_name_touches_nothing(workspace: Workspace) -> None:
    before = workspace.containers()
    refused = workspace.invoke("delete-function", "", "--yes", check=False)
    assert refused.returncode == 1
    assert "is not deployed" in refused.stderr
    assert workspace.containers() == before


def test_delete(workspace: Workspace, author: Author) -> None:
    author(
        "leaves",
        answer("one"),
        "spec: {triggers: {words: {kind: rabbit-mq, attributes: {exchangeName: e, topics: [t], queueName: leaving}}}}",
    )
    workspace.invoke("deploy-function", "leaves")
    image = workspace.functions()["leaves"]["image"]
    refusal = workspace.invoke("delete-function", "leaves", check=False)
    assert (refusal.returncode, "--yes" in refusal.stderr) == (1, True)
    workspace.invoke("delete-function", "leaves", "--yes")
    assert workspace.containers("function-leaves") == []
    assert workspace.functions()["leaves"]["state"] == "not deployed"
    assert workspace.docker("image", "inspect", image, check=False).returncode
    assert (workspace.root / "functions/leaves/main.py").is_file()
    with (
        pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection,
        pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"),
    ):
        connection.channel().queue_declare("leaving", passive=True)
    again = workspace.invoke("delete-function", "leaves", "--yes", check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("leaves is not deployed. Deployed functions: ")


def test_function_without_http(workspace: Workspace, author: Author) -> None:
    author(
        "deaf",
        "def handler(context, event):\n    print('got', event.body.decode(), flush=True)\n",
        "spec: {disableDefaultHTTPTrigger: true, triggers: {in: {kind: rabbit-mq, attributes: {queueName: deaf}}}}",
    )
    workspace.invoke("deploy-function", "deaf")
    listed = workspace.functions()["deaf"]
    assert (listed["state"], listed["url"]) == ("ready", "")
    assert listed["triggers"] == [{"name": "in", "kind": "rabbit-mq"}]
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        connection.channel().basic_publish("", "deaf", b"a word")
    wait_until(lambda: "got a word" in workspace.invoke("logs", "deaf").stdout)


def test_fixed_port(workspace: Workspace, author: Author) -> None:
    port = free_port()
    config = f"spec: {{triggers: {{web: {{kind: http, attributes: {{port: {port}}}}}}}}}\n"
    folder = author("fixed", answer("one"), config)
    workspace.invoke("deploy-function", "fixed")
    assert ask(workspace, "fixed") == "one"
    assert fetch(f"http://127.0.0.1:{port}") == (200, "one")
    (folder / "main.py").write_text(answer("two"))
    workspace.invoke("deploy-function", "fixed")
    assert fetch(f"http://127.0.0.1:{port}") == (200, "two")
    (folder / "main.py").write_text("from nowhere import handler\n")
    assert workspace.invoke("deploy-function", "fixed", check=False).returncode == 1
    wait_until(lambda: workspace.functions()["fixed"]["state"] == "ready", what="the old version is ready")
    assert fetch(f"http://127.0.0.1:{port}") == (200, "two")


def test_fixed_port_in_use(workspace: Workspace, author: Author) -> None:
    port = workspace.settings.ports.metrics
    author("late", answer("one"), f"spec: {{triggers: {{web: {{kind: http, attributes: {{port: {port}}}}}}}}}\n")
    result = workspace.invoke("deploy-function", "late", check=False)
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "another program uses it" in result.stderr
    assert workspace.containers("function-late") == []


def test_container_is_as_asked(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "note").write_text("from outside")
    config = {
        "metadata": {"labels": {"nuclio.io/project-name": "plant", "where": "hall $1"}},
        "spec": {
            "description": 'A "quoted" $HOME description',
            "env": [
                {"name": "PLAIN", "value": "a $b ${C} \"quoted\" 'single' #x"},
                {"name": "NUMBER", "value": 5},
                {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}},
            ],
            "volumes": [
                {
                    "volume": {"name": "data", "hostPath": {"path": str(tmp_path)}},
                    "volumeMount": {"name": "data", "mountPath": "/mnt/data", "readOnly": True},
                }
            ],
            "resources": {"limits": {"cpu": "500m", "memory": "96Mi"}},
        },
    }
    author("inspects", INSPECTOR, json.dumps(config))
    workspace.allow(tmp_path)
    workspace.invoke("deploy-function", "inspects")
    seen = json.loads(ask(workspace, "inspects"))
    assert seen["uid"] not in (0, os.getuid())
    assert seen["folder"] == "/opt/nuclio"
    assert seen["mounted"] == "from outside"
    assert set(seen["capabilities"]) == {0}
    environment = seen["environment"]
    assert environment["PLAIN"] == "a $b ${C} \"quoted\" 'single' #x"
    assert environment["NUMBER"] == "5"
    assert re.fullmatch(r"amqp://function-inspects:[0-9a-f]{64}@rabbitmq-mqtt:5672/", environment["URL"])
    document = workspace.inspect("function-inspects")
    host = document["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (500_000_000, 96 * 1024**2)
    assert host["CapDrop"] == ["ALL"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    labels = document["Config"]["Labels"]
    assert (labels["where"], labels["nuclio.io/project-name"]) == ("hall $1", "plant")
    assert labels["org.opencontainers.image.description"] == 'A "quoted" $HOME description'
    assert workspace.functions()["inspects"]["project"] == "plant"


def test_chosen_user(workspace: Workspace, author: Author) -> None:
    code = "import os\ndef handler(context, event):\n    return f'{os.getuid()} {os.getgid()} {os.getgroups()}'\n"
    author("chosen", code, "spec: {securityContext: {runAsUser: 4321, runAsGroup: 4322, fsGroup: 4323}}\n")
    workspace.invoke("deploy-function", "chosen")
    assert ask(workspace, "chosen").startswith("4321 4322 [")
    assert "4323" in ask(workspace, "chosen")


def test_build_commands_and_files(workspace: Workspace, author: Author) -> None:
    config = {
        "spec": {
            "handler": "pages.read:show",
            "build": {
                "args": {"WORD": "a $word"},
                "commands": ["echo before $(ls /opt/nuclio) > /before", "@nuclio.postCopy", "cp data/text.txt /after"],
            },
        }
    }
    code = "def show(context, event):\n    return open('/before').read() + open('/after').read()\n"
    files = {"pages/__init__.py": "", "pages/read.py": code, "data/text.txt": "copied", "__pycache__/x.pyc": "no"}
    author("builds", "", json.dumps(config), files)
    workspace.invoke("deploy-function", "builds")
    assert ask(workspace, "builds") == "before\ncopied"
    listing = workspace.execute("function-builds", "ls", "/opt/nuclio").stdout
    assert "function.yaml" in listing
    assert "__pycache__" not in listing


def test_two_deploys_of_one_function_take_turns(workspace: Workspace, author: Author) -> None:
    folder = author("twice", answer("one"))
    first = workspace.start("deploy-function", "twice")
    wait_until(lambda: (workspace.rendered / "state/locks/function-twice").exists())
    (folder / "main.py").write_text(answer("two"))
    second = workspace.start("deploy-function", "twice")
    printed = [process.communicate(timeout=280)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), printed
    assert len(workspace.containers("function-twice")) == 1
    assert ask(workspace, "twice") == "two"


def test_code_that_is_changed_while_it_is_built(workspace: Workspace, author: Author) -> None:
    """What is deployed is the newer code, and the older is not mistaken for it when it is written again."""
    config = "spec: {build: {noCache: true, commands: [sleep 5]}}"
    folder = author("changing", answer("one"), config)
    process = workspace.start("deploy-function", "changing")
    builds = workspace.rendered / "state" / "builds" / "changing"
    wait_until(lambda: builds.exists() and any(builds.iterdir()), seconds=60, what="the build")
    time.sleep(1)
    (folder / "main.py").write_text(answer("two"))
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 0, printed
    assert ask(workspace, "changing") == "two"
    (folder / "main.py").write_text(answer("one"))
    workspace.invoke("deploy-function", "changing")
    assert ask(workspace, "changing") == "one"


def test_deploys_of_two_functions_at_once(workspace: Workspace, author: Author) -> None:
    names = ("left", "right")
    for name in names:
        author(name, answer(name))
    running = [workspace.start("deploy-function", name) for name in names]
    printed = [process.communicate(timeout=280)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    assert [ask(workspace, name) for name in names] == list(names)
    assert not any("profiles:" in render_service(workspace, name) for name in names)


LINGER = "time.sleep(5 * (event.path == '/linger'))\n    return"
SLOW = "import time\ndef init_context(context):\n    time.sleep(20)\n" + answer("slow")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_deploy_that_is_cut_short(workspace: Workspace, author: Author, number: signal.Signals) -> None:
    """In its middle, when old and new containers are there; what comes next finds its way."""
    folder = author("cut", answer("one"))
    workspace.invoke("deploy-function", "cut")
    old = workspace.containers("function-cut")
    (folder / "main.py").write_text(SLOW)
    process = workspace.start("deploy-function", "cut")
    wait_until(lambda: len(workspace.containers("function-cut")) == 2, seconds=60, what="the new container")
    os.killpg(process.pid, number)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "Traceback" not in printed
    if number is signal.SIGINT:
        assert workspace.containers("function-cut") == old
    workspace.invoke("up")
    assert len(workspace.containers("function-cut")) == 1
    assert ask(workspace, "cut") == "one"
    (folder / "main.py").write_text(answer("two"))
    workspace.invoke("deploy-function", "cut")
    assert len(workspace.containers("function-cut")) == 1
    assert ask(workspace, "cut") == "two"


def kill_deploy(workspace: Workspace, name: str, old: list[str]) -> None:
    """Deploy a function, and kill that when there is a container that was not there before."""
    process = workspace.start("deploy-function", name)
    wait_until(lambda: bool(set(workspace.containers(f"function-{name}")) - set(old)), seconds=60, what="a container")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.mark.slow
def test_killed_deploy_leaves_what_was_there(workspace: Workspace, author: Author) -> None:
    """No one has to type anything for it."""
    folder = author("slain", answer("one"))
    workspace.invoke("deploy-function", "slain")
    old = workspace.containers("function-slain")
    (folder / "main.py").write_text(SLOW)
    kill_deploy(workspace, "slain", old)
    wait_until(lambda: workspace.containers("function-slain") == old, what="the old container alone")
    assert ask(workspace, "slain") == "one"


@pytest.mark.slow
def test_killed_first_deploy_leaves_nothing(workspace: Workspace, author: Author) -> None:
    author("stillborn", SLOW)
    kill_deploy(workspace, "stillborn", [])
    wait_until(lambda: workspace.containers("function-stillborn") == [], what="no container")
    assert workspace.functions()["stillborn"]["state"] == "not deployed"


def list_starts(workspace: Workspace, name: str) -> list[str]:
    """Return when each container of a function that runs was started."""
    running = run_docker("ps", "--quiet", "--no-trunc").stdout.split()
    found = [one for one in workspace.containers(f"function-{name}") if one in running]
    return run_docker("inspect", "--format", "{{.State.StartedAt}}", *found).stdout.split() if found else []


@contextmanager
def keep_busy(url: str) -> Iterator[None]:
    """Have one request under way at any time, until the function is gone or the block is left."""
    is_left = threading.Event()

    def ask_on() -> None:
        with suppress(OSError):
            while not is_left.is_set():
                fetch(url, timeout=30)

    with ThreadPoolExecutor() as pool:
        pool.submit(ask_on)
        yield
        is_left.set()


@pytest.mark.slow
def test_killed_deploy_gives_a_fixed_port_back(workspace: Workspace, author: Author) -> None:
    """Also while the old container is still on its way to its end, since it has an event to finish."""
    port = free_port()
    config = f"spec: {{triggers: {{web: {{kind: http, attributes: {{port: {port}}}}}}}}}\n"
    folder = author("ousted", f"import time\n{answer('one')}".replace("return", LINGER), config)
    workspace.invoke("deploy-function", "ousted")
    (started,) = list_starts(workspace, "ousted")
    (folder / "main.py").write_text(SLOW)
    with keep_busy(f"http://127.0.0.1:{port}/linger"):
        kill_deploy(workspace, "ousted", workspace.containers("function-ousted"))
    wait_until(
        lambda: [one != started for one in list_starts(workspace, "ousted")] == [True],
        seconds=60,
        what="the old version, started again",
    )
    wait_until(lambda: workspace.functions()["ousted"]["state"] == "ready", seconds=60, what="the old version is ready")
    assert fetch(f"http://127.0.0.1:{port}") == (200, "one")


@pytest.mark.slow
def test_killed_deploy_of_a_foreign_image_leaves_what_was_there(workspace: Workspace, author: Author) -> None:
    """Both versions have one image, and differ in their configuration only."""
    author("origin", answer("one"))
    workspace.invoke("deploy-function", "origin")
    image = workspace.inspect("function-origin")["Config"]["Image"]
    config = f"metadata: {{name: borrower}}\nspec: {{image: {image}, readinessTimeoutSeconds: 60, env: [%s]}}\n"
    folder = workspace.write_function("borrower", "", config % "{name: A, value: one}")
    (folder / "main.py").unlink()
    workspace.invoke("deploy-function", "borrower")
    old = workspace.containers("function-borrower")
    (folder / "function.yaml").write_text(config % "{name: A, value: two}")
    kill_deploy(workspace, "borrower", old)
    wait_until(lambda: workspace.containers("function-borrower") == old, what="the old container alone")
    wait_until(lambda: ask(workspace, "borrower") == "one", what="an answer")


@pytest.mark.slow
def test_killed_deploy_leaves_nothing_at_the_broker(workspace: Workspace, author: Author) -> None:
    config = "spec: {triggers: {in: {kind: rabbit-mq, attributes: {queueName: %s, exchangeName: %s, topics: [%s]}}}}\n"
    handler = "def handler(context, event):\n    pass\n"
    folder = author("bound", handler, config % ("bound", "bound.x", "a"))
    workspace.invoke("deploy-function", "bound")
    old = workspace.containers("function-bound")
    (folder / "function.yaml").write_text(config % ("bound.two", "bound.x", "b"))
    # It binds, and is not ready before it is killed.
    (folder / "main.py").write_text(handler + "import time\ntime.sleep(0)\n")
    process = workspace.start("deploy-function", "bound")
    wait_until(lambda: "bound.two" in queues(workspace), seconds=60, what="the new queue")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_until(lambda: len(workspace.containers("function-bound")) == 1, what="one container")
    counted = workspace.containers("function-bound") != old
    left = "bound" if counted else "bound.two"
    wait_until(lambda: left not in queues(workspace), what="the queue that no one consumes is gone")


def queues(workspace: Workspace) -> set[str]:
    command = ["rabbitmqctl", "-q", "list_queues", "name"]
    listed = workspace.docker("exec", *workspace.containers("rabbitmq-mqtt"), *command)
    return set(listed.stdout.split())


def test_functions_survive_down_and_up(workspace: Workspace, author: Author) -> None:
    """The same versions come back, whatever became of their folders."""
    folder = author("returns", answer("one"))
    workspace.invoke("deploy-function", "returns")
    (folder / "main.py").write_text(answer("two"))
    (container,) = workspace.containers("function-returns")
    workspace.docker("stop", container)
    assert workspace.inspect("function-returns")["State"]["ExitCode"] == 0
    workspace.invoke("down")
    assert workspace.containers() == []
    listed = workspace.functions()["returns"]
    assert (listed["state"], listed["replicas"]) == ("stopped", 0)
    workspace.invoke("up")
    assert ask(workspace, "returns") == "one"


@pytest.mark.slow
def test_deploy_before_up(fresh_workspace: Workspace) -> None:
    """No one is made to type `up` first."""
    config = "spec: {triggers: {in: {kind: rabbit-mq, attributes: {queueName: in}}}}"
    fresh_workspace.write_function("first", answer("first"), config)
    fresh_workspace.invoke("deploy-function", "first")
    assert ask(fresh_workspace, "first") == "first"
    before = fresh_workspace.containers()
    assert "nothing was changed" in fresh_workspace.invoke("up").stderr
    assert fresh_workspace.containers() == before
