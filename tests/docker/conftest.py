"""The real Docker: a workspace of its own for the session, and one for each test that breaks things."""

import shutil
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docker.foundation import foundation, share, used_images
from tests.docker.fuzz import fuzz
from tests.docker.workspace import Broker, Workspace, authoring, make_workspace, run_docker

__all__ = ["foundation", "fuzz", "share", "used_images"]

_HERE = Path(__file__).parent
# It takes longest.
_FIRST = "test_deploy.py"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "foundation" in getattr(item, "fixturenames", ()):
            item.add_marker("docker")
    items.sort(key=_place)
    marked = [item for item in items if item.get_closest_marker("docker")]
    if marked and not config.getoption("--no-docker-skip") and not _has_engine():
        for item in marked:
            item.add_marker(
                pytest.mark.skip(reason="there is no Docker engine here; ./bootstrap provision installs it")
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the containers' last lines to the report of a failure."""
    report = yield
    found = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Workspace)]
    if report.failed:
        for workspace in found:
            report.sections += [(f"docker logs {name}", log) for name, log in workspace.tell_logs()]
    return report


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, foundation: None, used_images: set[str]) -> Iterator[Workspace]:
    """A workspace with the repository's functions, whose stack is up; none is deployed."""
    workspace = make_workspace(tmp_path_factory.mktemp("stack") / "workspace", functions=True)
    try:
        workspace.invoke("up", timeout=280)
        yield workspace
        workspace.note_images()
        workspace.invoke("down", "--volumes", "--yes")
    finally:
        used_images |= workspace.clean_up()


@pytest.fixture
def fresh_workspace(tmp_path: Path, foundation: None, used_images: set[str]) -> Iterator[Workspace]:
    """A workspace without functions, where nothing was done yet."""
    workspace = make_workspace(tmp_path / "workspace", functions=False)
    stack_yaml = (workspace.root / "stack.yaml").read_text()
    yield workspace
    (workspace.root / "stack.yaml").write_text(stack_yaml)
    used_images |= workspace.clean_up()


@pytest.fixture(scope="session")
def session_broker(workspace: Workspace) -> Broker:
    ports = workspace.settings.ports
    return Broker(
        workspace=workspace,
        amqp_url=workspace.amqp_url,
        mqtt_host="127.0.0.1",
        mqtt_port=ports.mqtt,
        management_url=f"http://127.0.0.1:{ports.management}",
    )


@pytest.fixture
def broker(session_broker: Broker) -> Iterator[Broker]:
    """RabbitMQ of the session's workspace; it runs again after a test that stopped it."""
    if not session_broker.is_running:
        session_broker.start()
    yield session_broker
    if not session_broker.is_running:
        session_broker.start()


@pytest.fixture(scope="session")
def deployed(workspace: Workspace) -> Callable[..., None]:
    """Deploy functions of the session's workspace, each once."""
    done: set[str] = set()

    def deploy(*names: str) -> None:
        for name in names:
            if name not in done:
                workspace.invoke("deploy-function", name)
                done.add(name)

    return deploy


@pytest.fixture
def author(workspace: Workspace) -> Iterator[Callable[..., Path]]:
    """Write functions into the session's workspace; they are deleted with their containers at the test's end."""
    with authoring(workspace) as write:
        yield write


def _place(item: pytest.Item) -> int:
    """Put the tests without Docker behind one file: other workers run them while its worker makes the images."""
    if item.path.parent not in (_HERE, _HERE.with_name("browser")):
        return 1
    return 0 if item.path.name == _FIRST else 2


@cache
def _has_engine() -> bool:
    return shutil.which("docker") is not None and run_docker("version", check=False).returncode == 0
