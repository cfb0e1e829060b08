"""The tabs of one function: a call with its log, triggers, the live log, figures, dead letters."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pika
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.visit import Visit, await_route
from tests.docker.workspace import Workspace, fetch, wait_until

_NAME, _EXCHANGE = "tabs", "iot/tabs"
# Milliseconds that what is live may take on a machine that has more to do.
_PATIENCE = 20_000
_CONFIG = f"""\
spec:
  handler: main:handler
  # What makes it run.
  triggers:
    sensors:
      kind: rabbit-mq
      attributes:
        exchangeName: {_EXCHANGE}
        topics: [temperature]
        maxRetries: 0  # at once
"""
# What it cannot handle it can the second time, as if it had been mended meanwhile.
_CODE = """\
import json

seen = set()


def handler(context, event):
    if event.trigger.kind == "http":
        if event.path == "/page":
            return context.Response(body="<h1>A page</h1>", content_type="text/html")
        context.logger.info_with("Called", path=event.path)
        return {"method": event.method, "body": event.body.decode(errors="replace")}
    text = event.body.decode() if isinstance(event.body, bytes) else json.dumps(event.body)
    if "bad" in text and text not in seen:
        seen.add(text)
        raise ValueError(f"no number in {text!r}")
    context.logger.info(f"Handled {text}")
"""


@pytest.fixture(scope="module")
def function(workspace: Workspace) -> Iterator[Path]:
    """The folder of a function that is deployed, and gone at the end."""
    folder = workspace.write_function(_NAME, _CODE, _CONFIG)
    workspace.invoke("deploy-function", _NAME)
    yield folder
    workspace.note_images()
    workspace.invoke("dead-letters", _NAME, "--purge", "--yes", check=False)
    workspace.invoke("delete-function", _NAME, "--yes", check=False)
    for path in (folder, folder.parent / ".events" / _NAME):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def tabs(visit: Visit, function: Path) -> Visit:
    """A visit of a dashboard that knows the function."""
    wait_until(lambda: fetch(f"{visit.address}/api/functions/{_NAME}")[0] == 200, what="the function")
    return visit


def open_tab(visit: Visit, tab: str) -> Page:
    return visit.open(f"/functions/{_NAME}/{tab}")


def publish(workspace: Workspace, *bodies: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish(_EXCHANGE, "temperature", body.encode(), mandatory=True)
    connection.close()


def say(page: Page, text: str, *, timeout: float | None = None) -> None:
    """Find it among what is said: something else may have been said since."""
    expect(page.locator(".toast").filter(has_text=text).last).to_be_visible(timeout=timeout)


def test_a_call_shows_its_answer_and_its_log_and_is_kept(tabs: Visit) -> None:
    page = open_tab(tabs, "test")
    page.get_by_label("Path and query").fill("hello?a=1")
    page.get_by_text("Text", exact=True).first.click()
    page.get_by_label("Body", exact=True).fill("21.5")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Body of the response")).to_have_text('{\n  "method": "POST",\n  "body": "21.5"\n}')
    expect(page.get_by_role("status").filter(has_text="200 OK")).to_contain_text("ms")
    expect(page.get_by_role("log", name="Log of this call")).to_contain_text('Called {"path":"/hello"}')
    tabs.check_weight()
    tabs.look("function-test")

    # A second attempt finds what the first has saved.
    name = f"Warm kitchen {uuid4().hex[:4]}"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    say(page, f"Saved as “{name}”.")
    page.reload()
    page.get_by_label("Saved event").select_option(name)
    expect(page.get_by_label("Body", exact=True)).to_have_value("21.5")
    expect(page.get_by_label("Path and query")).to_have_value("hello?a=1")


def test_a_page_of_a_function_is_shown_as_text(tabs: Visit) -> None:
    page = open_tab(tabs, "test")
    page.get_by_label("Method").select_option("GET")
    page.get_by_label("Path and query").fill("page")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Body of the response")).to_have_text("<h1>A page</h1>")
    expect(page.get_by_role("heading", name="A page")).to_have_count(0)


def test_a_message_is_followed_by_what_the_function_logs(tabs: Visit) -> None:
    page = open_tab(tabs, "test")
    page.get_by_label("Send to").select_option("sensors")
    expect(page.get_by_label("Routing key")).to_have_value("temperature")
    page.get_by_label("Body", exact=True).fill('{"celsius": 20}')
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("[data-log]")).to_contain_text('Handled {"celsius": 20}', timeout=_PATIENCE)


def test_a_mistake_in_a_trigger_is_told_beside_its_field(tabs: Visit, function: Path) -> None:
    page = open_tab(tabs, "triggers")
    page.get_by_label("Exchange name").fill("")
    page.get_by_label("Exchange name").press("Tab")
    missing = page.locator("[data-field='t.0.attributes.exchangeName'] .error")
    expect(missing).to_have_text("topics need an exchangeName to be bound to")
    page.get_by_label("Prefetch count").fill("many")
    page.get_by_label("Prefetch count").press("Tab")
    wrong = page.locator("[data-field='t.0.attributes.prefetchCount'] .error")
    expect(wrong).to_have_text("should be a whole number, not 'many'")
    tabs.look("function-triggers")
    page.get_by_role("button", name="Save", exact=True).click()
    say(page, "Nothing is saved yet")
    assert (function / "function.yaml").read_text() == _CONFIG

    page.get_by_label("Exchange name").fill(_EXCHANGE)
    page.get_by_label("Prefetch count").fill("2")
    page.get_by_role("button", name="Save and deploy").click()
    say(page, "Saved in functions/tabs/function.yaml.")
    saved = (function / "function.yaml").read_text()
    assert "  # What makes it run.\n" in saved and "prefetchCount: 2" in saved and "# at once" in saved
    page.get_by_role("button", name="YAML").click()
    expect(page.locator(".cm-content")).to_contain_text("prefetchCount: 2")
    tabs.look("function-triggers-yaml")
    expect(page.locator("[data-deploy-panel]")).to_contain_text("Revision 2 is ready", timeout=6 * _PATIENCE)


def test_the_log_is_live_and_can_be_filtered_and_held(tabs: Visit, workspace: Workspace) -> None:
    page = open_tab(tabs, "logs")
    log = page.get_by_role("log", name="Log of tabs")
    # One of an older revision that ends says so in the same log.
    wait_until(lambda: len(workspace.containers(f"function-{_NAME}")) == 1, what="the end of the older container")
    publish(workspace, "one")
    expect(log).to_contain_text("Handled one", timeout=_PATIENCE)
    page.get_by_label("Show lines with this text").fill("HANDLED")
    expect(log.locator("mark").first).to_have_text("Handled")
    page.get_by_role("button", name="Pause").click()
    expect(log).to_have_attribute("aria-live", "off")
    publish(workspace, "two")
    expect(page.locator("#log-note")).to_contain_text("1 new", timeout=_PATIENCE)
    expect(log).not_to_contain_text("Handled two")
    page.get_by_role("button", name="Resume").click()
    expect(log).to_contain_text("Handled two")
    tabs.look("function-logs")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert "Handled two" in Path(download.value.path()).read_text()
    page.get_by_role("button", name="Clear").click()
    expect(log).to_be_empty()


def test_figures_are_drawn_while_the_page_is_open(tabs: Visit, workspace: Workspace) -> None:
    page = open_tab(tabs, "metrics")
    publish(workspace, *(str(number) for number in range(5)))
    expect(page.locator("[data-replicas] tr")).to_have_count(1, timeout=_PATIENCE)
    expect(page.locator("[data-now='rate']")).to_contain_text("/s")
    expect(page.locator("[data-chart='rate'] canvas")).to_be_visible()
    expect(page.locator("[data-total='events'] dd")).to_have_text(re.compile(r"\d"))
    tabs.check_weight()
    tabs.look("function-metrics")


def test_scaling_leaves_what_is_typed(tabs: Visit) -> None:
    page = open_tab(tabs, "test")
    body = page.get_by_label("Body", exact=True)
    body.fill("typed before")
    for replicas, said in (2, "2 containers"), (1, "1 container"):
        page.get_by_role("button", name="Scale", exact=True).first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Containers").fill(str(replicas))
        dialog.get_by_role("button", name="Scale").click()
        say(page, f"tabs has {said} now.", timeout=60_000)
        expect(page.locator("#function-head")).to_contain_text(f"{replicas} of {replicas} ready")
    expect(dialog).to_be_hidden()
    expect(body).to_have_value("typed before")


def test_what_is_pressed_twice_is_done_once(tabs: Visit) -> None:
    page = open_tab(tabs, "logs")
    ordered, deploy = list[str](), page.get_by_role("button", name="Deploy", exact=True)
    page.on("request", lambda one: ordered.append(one.url) if one.method == "POST" else None)
    # The answer to the first press has come by the second.
    deploy.dblclick(delay=150)
    heading = page.get_by_label("Deploy", exact=True).get_by_role("heading")
    expect(heading).to_have_text(re.compile("Revision . is ready"), timeout=60_000)
    assert len(ordered) == 1
    # And here it has not.
    held = list[Route]()
    page.route("**/deploy", lambda route: held.append(route))
    for _ in range(2):
        deploy.press("Enter")
    await_route(page, held).fulfill(status=204)
    page.wait_for_timeout(500)
    assert len(ordered) == 2


def test_dead_letters_are_looked_at_sent_again_and_discarded(tabs: Visit, workspace: Workspace) -> None:
    publish(workspace, '{"celsius": "bad"}', "bad two", "bad three", "bad four")
    page = open_tab(tabs, "dead-letters")
    rows = page.locator(".letters tbody tr")
    wait_until(lambda: page.reload() is not None and rows.count() == 4, what="four dead letters")
    page.get_by_role("button", name='{"celsius": "bad"}').click()
    dialog = page.get_by_role("dialog", name="Dead letter")
    expect(dialog).to_contain_text("ValueError: no number in")
    expect(dialog.get_by_label("The message")).to_have_text('{\n  "celsius": "bad"\n}')
    tabs.look("function-dead-letter")
    dialog.get_by_role("button", name="Replay").click()
    say(page, "1 dead letter sent again.")
    expect(rows).to_have_count(3)
    tabs.look("function-dead-letters")

    workspace.invoke("dead-letters", _NAME, "--purge", "--match", "bad two", "--yes")
    rows.filter(has_text="bad two").get_by_role("button", name="Replay").click()
    say(page, "This dead letter is gone")
    expect(rows).to_have_count(2)

    rows.filter(has_text="bad three").get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    say(page, "1 dead letter discarded.")
    page.get_by_role("button", name="Replay all (1)").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()
    page = open_tab(tabs, "logs")
    expect(page.get_by_role("log", name="Log of tabs")).to_contain_text("Handled bad four", timeout=_PATIENCE)
