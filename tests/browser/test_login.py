import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from stack.state.access import USER, make_access
from stack.state.workspace import Workspace as StackWorkspace
from tests.browser.visit import DESKTOP, PATIENCE, Visit, answers
from tests.docker.workspace import ROOT, make_workspace, wait_until
from tests.ports import free_port


@pytest.fixture
def guarded(chromium: Browser, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[tuple[Visit, str]]:
    """A dashboard as other machines would meet it, and its password; it listens to this machine alone."""
    workspace = make_workspace(tmp_path / "workspace", functions=False)
    workspace.configure(bind="0.0.0.0")
    password = make_access(StackWorkspace(workspace.root)).password
    port = free_port()
    command = [sys.executable, "-m", "stack.dashboard", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, env=workspace.environment()) as process:
        wait_until(lambda: answers(address), what="the dashboard's answer")
        context = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        visit = Visit(context.new_page(), address, pytestconfig.getoption("--pictures"))
        yield visit, password
        context.close()
        process.terminate()
    assert not visit.troubles, "\n".join(visit.troubles)


def test_login_lets_in_who_knows_the_password_and_out_again(guarded: tuple[Visit, str]) -> None:
    visit, password = guarded
    page = visit.open("/functions?q=a")
    expect(page).to_have_title(re.compile("Log in"))
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("User or password is wrong")
    visit.look("login")
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/functions"))
    expect(page.locator("html[data-live=on]")).to_be_attached()
    copied = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title(re.compile("Log in"))
    visit.open("/functions")
    expect(page).to_have_title(re.compile("Log in"))
    # Who has a copy of the session's cookie is out too.
    page.context.add_cookies([{"name": one["name"], "value": one["value"], "url": visit.address} for one in copied])
    visit.open("/functions")
    expect(page).to_have_title(re.compile("Log in"))


def test_page_that_is_open_says_that_its_login_is_over(guarded: tuple[Visit, str]) -> None:
    visit, password = guarded
    page = visit.open("/demo?shown=1")
    _log_in(page, password)
    page.context.clear_cookies()
    # As a page that comes back from the Back button does.
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.get_by_text("You are logged out")).to_be_visible()
    page.get_by_role("link", name="Log in again").click()
    _log_in(page, password)
    expect(page).to_have_url(f"{visit.address}/demo?shown=1")
    # The stream that was refused.
    visit.troubles.clear()


def test_what_was_typed_is_sent_after_a_login_in_another_tab(guarded: tuple[Visit, str]) -> None:
    visit, password = guarded
    page = visit.open("/functions/new")
    _log_in(page, password)
    page.get_by_label("Name").fill("typedbefore")
    page.context.clear_cookies()
    make, toasts = page.get_by_role("button", name="Make it"), page.locator("[data-toasts]")
    make.click()
    expect(toasts).to_contain_text("You are logged out. Log in in another tab, then try again.")
    other = page.context.new_page()
    other.goto(visit.address)
    _log_in(other, password)
    make.click()
    expect(toasts).to_contain_text("Do it once more")
    expect(page.get_by_label("Name")).to_have_value("typedbefore")
    make.click()
    expect(page).to_have_url(re.compile("/functions/typedbefore/code"))
    # The stream that was refused.
    visit.troubles.clear()


def _log_in(page: Page, password: str) -> None:
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("html[data-live=on]")).to_be_attached()
