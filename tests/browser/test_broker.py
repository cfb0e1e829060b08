"""The pages of the broker and of the devices, against the real broker."""

import re
from collections.abc import Callable
from contextlib import closing

from pika import BlockingConnection, URLParameters
from playwright.sync_api import Locator, Page, Route, expect

from stack.state.credentials import load_credentials
from stack.state.workspace import Workspace as StackWorkspace
from tests.browser.visit import Visit, await_route
from tests.docker.workspace import Workspace, wait_until


def test_broker_is_shown_watched_and_published_to(
    visit: Visit, deployed: Callable[..., None], workspace: Workspace
) -> None:
    deployed("amqpconsume")
    page = visit.open("/broker")
    row = page.get_by_role("row", name="iot/sensors").filter(has=page.get_by_role("link", name="amqpconsume"))
    expect(row).to_be_visible()
    visit.check_weight()
    visit.look("broker")
    _check_long_binding(page, workspace)
    page.get_by_role("button", name="Watch iot/sensors", exact=True).first.click()
    log = page.get_by_role("log", name="Watched messages")
    expect(log).to_contain_text("Watching what is bound to iot/sensors: iot/sensors temperature.")
    page.get_by_role("button", name="Publish").click()
    dialog = page.get_by_role("dialog", name="Publish a message")
    dialog.get_by_label("Body").first.fill("18.75")
    dialog.get_by_label("Headers").fill("- no mapping")
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog.get_by_role("alert")).to_contain_text("headers")
    dialog.get_by_label("Headers").fill("room: hall")
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog.get_by_text("a queue took it")).to_be_visible()
    visit.look("broker-publish")
    dialog.get_by_role("button", name="Close").click()
    message = log.locator("details", has_text="18.75").first
    message.locator("summary").click()
    expect(message).to_contain_text("hall")
    visit.look("broker-watch")
    _leave_and_come_back(page, log, workspace)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("live", exact=True)).to_be_hidden()


def _leave_and_come_back(page: Page, log: Locator, workspace: Workspace) -> None:
    """Find what was being read as it was after the page was away for a while, each message once."""
    page.get_by_role("button", name="Pause").click()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("html[data-live=on]")).to_be_attached()
    page.wait_for_timeout(1500)
    with closing(BlockingConnection(URLParameters(workspace.amqp_url))) as connection:
        connection.channel().basic_publish("iot/sensors", "temperature", b"19.5")
    page.wait_for_timeout(1500)
    expect(log.locator("details", has_text="18.75")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(log.locator("details", has_text="19.5")).to_have_count(1)
    expect(log.locator("details", has_text="18.75")).to_have_count(1)


def test_queue_is_looked_into_only_after_a_warning(
    visit: Visit, deployed: Callable[..., None], workspace: Workspace
) -> None:
    deployed("amqpconsume")
    workspace.invoke("client", "--count", "2", "--rate", "0")
    wait_until(lambda: count(workspace, "iot/logs") > 0, what="what the function says")
    page = visit.open("/broker")
    page.get_by_role("button", name="Look into iot/logs").click()
    dialog = page.get_by_role("dialog", name="Look into a queue")
    expect(dialog).to_contain_text("marked as delivered before")
    dialog.get_by_role("button", name="Peek").click()
    expect(dialog.get_by_text("Invoked Function amqpconsume").first).to_be_visible()
    visit.look("broker-peek")
    dialog.get_by_role("button", name="Close").click()
    _look_into_two(page, dialog)


def _look_into_two(page: Page, dialog: Locator) -> None:
    """Press the button of one queue and then another's, whose answer comes first: that one is shown."""
    held = list[Route]()
    page.route("**/broker/peek?queue=iot/logs", lambda route: held.append(route))
    with page.expect_request("**/broker/peek?queue=iot/logs"):
        page.get_by_role("button", name="Look into iot/logs").click()
    page.get_by_role("button", name="Look into iot/sensors", exact=True).click()
    expect(dialog.get_by_text("out of iot/sensors")).to_be_visible()
    await_route(page, held).continue_()
    page.wait_for_timeout(500)
    expect(dialog.get_by_text("out of iot/sensors")).to_be_visible()


def test_devices_are_simulated_and_seen(visit: Visit, workspace: Workspace) -> None:
    page = visit.open("/devices")
    start, stop = (page.get_by_role("button", name=name) for name in ("Start", "Stop"))
    # The chart of a sensor's last values has a name as well.
    sensors = page.get_by_role("spinbutton", name="Sensors")
    expect(start.or_(stop)).to_be_visible()
    if stop.is_visible():
        # An attempt before this one has failed, and left it running.
        stop.click()
    expect(start).to_be_visible()
    visit.check_weight()
    sensors.fill("51")
    page.get_by_role("button", name="Start").click()
    expect(sensors).to_be_focused()
    sensors.fill("2")
    page.get_by_label("Readings a second").fill("10")
    page.get_by_role("button", name="Start").click()
    for sensor in ("sensor-1", "sensor-2"):
        row = page.get_by_role("row", name=f"iot/sensors/temperature {sensor}")
        expect(row).to_contain_text(re.compile(r"MQTT.*\d"))
        expect(row.locator("svg path").first).to_be_attached()
    # The first device with a login ends the account guest.
    account = load_credentials(StackWorkspace(workspace.root)).username
    expect(page.get_by_role("row", name="MQTT 5.0").first).to_contain_text(account)
    expect(page.get_by_text(re.compile(r"\d+ readings sent since"))).to_be_visible()
    visit.look("devices")
    page.reload()
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def count(workspace: Workspace, queue: str) -> int:
    with closing(BlockingConnection(URLParameters(workspace.amqp_url))) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def _check_long_binding(page: Page, workspace: Workspace) -> None:
    """Check that a binding with long names is shown as a whole."""
    queue = "nuclio-a-function-with-a-long-name.and-a-long-trigger"
    with closing(BlockingConnection(URLParameters(workspace.amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, "amq.topic", "a.rather.long.routing.key.of.a.sensor")
        table = page.locator("[aria-labelledby=bindings-title] .table-wrap")
        expect(table.get_by_text(queue)).to_be_visible()
        assert table.evaluate("table => table.scrollWidth - table.clientWidth") <= 0
