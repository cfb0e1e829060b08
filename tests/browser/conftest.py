"""The real dashboard in a real Chromium: one stack and one browser for the session, an empty browser for each test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from stack.config.network import SECURE
from tests.docker.foundation import foundation, share, used_images
from tests.docker.workspace import Workspace, make_workspace, run_docker, wait_until
from tests.ports import free_ports

# `invoke test` installs both.
pytest.importorskip("playwright", reason="there is no Playwright here; `invoke test` installs it")

from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.network import isolate
from tests.browser.visit import CHROMIUM, DESKTOP, OPTIONS, PATIENCE, Visit, answers

__all__ = ["foundation", "share", "used_images"]

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if _HERE in item.path.parents]
    lacks = _find_lack() if own and not config.getoption("--no-docker-skip") else ""
    for item in own:
        item.add_marker("docker")
        if lacks:
            item.add_marker(pytest.mark.skip(reason=lacks))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, foundation: None, used_images: set[str]) -> Iterator[Workspace]:
    """A workspace with the repository's functions, whose stack is up, the dashboard with it; none is deployed.

    TIDEGATE_BROWSER_WORKSPACE names one that is up already, and stays: quicker while a page is being written.
    """
    given = os.environ.get("TIDEGATE_BROWSER_WORKSPACE")
    if given:
        yield Workspace(Path(given))
        return
    workspace = make_workspace(tmp_path_factory.mktemp("browser") / "workspace", functions=True)
    # The page that makes a phone a device is there with TLS only.
    path = workspace.root / "stack.yaml"
    document = yaml.safe_load(path.read_text())
    document["ports"] |= dict(zip(SECURE, free_ports(len(SECURE)), strict=True))
    path.write_text(yaml.safe_dump(document | {"tls": {"enabled": True}}, sort_keys=False))
    try:
        workspace.invoke("up", timeout=280)
        yield workspace
        workspace.note_images()
        workspace.invoke("down", "--volumes", "--yes")
    finally:
        used_images |= workspace.clean_up()


@pytest.fixture(scope="session")
def dashboard(workspace: Workspace) -> str:
    """The address of the dashboard, which answers."""
    given = os.environ.get("TIDEGATE_BROWSER_ADDRESS")
    address = given or f"http://127.0.0.1:{workspace.settings.ports.dashboard}"
    wait_until(lambda: answers(address), what="the dashboard's health")
    return address


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("chromium")
    with isolate(CHROMIUM, folder) as program, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        # A machine that runs other tests beside this one is slow.
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, dashboard: str, pytestconfig: pytest.Config) -> Iterator[Visit]:
    """A visitor with an empty profile; the test fails if the console tells of an error."""
    context = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page(), dashboard, pytestconfig.getoption("--pictures"))
    yield visit
    troubles = list(dict.fromkeys(visit.troubles))
    context.close()
    assert not troubles, "\n".join(troubles)


@pytest.fixture(scope="session")
def deployed(workspace: Workspace) -> Callable[..., None]:
    """Deploy functions, each once."""
    done = {name for name, one in workspace.functions().items() if one["state"] == "ready"}

    def deploy(*names: str) -> None:
        for name in names:
            if name not in done:
                workspace.invoke("deploy-function", name)
                done.add(name)

    return deploy


def _find_lack() -> str:
    if not shutil.which("docker") or run_docker("version", check=False).returncode:
        return "there is no Docker engine here; ./bootstrap provision installs it"
    return "" if Path(CHROMIUM).exists() else "there is no Chromium here; `invoke test` installs it"
