"""Devices with a login of their own on the devices' page, on a real stack."""

import re

from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from stack.state.credentials import load_credentials
from stack.state.workspace import Workspace as StackWorkspace
from tests.browser.visit import BROKEN, PHONE, Visit, await_route
from tests.docker.workspace import Workspace


def test_device_is_let_in_locked_out_and_removed(visit: Visit, workspace: Workspace) -> None:
    """It is a file first, as git brings it: to add one here would end the account that other tests use."""
    folder = workspace.root / "devices"
    folder.mkdir(exist_ok=True)
    (folder / "pump-7.yaml").write_text("labels: {site: hall-2}\ntopics: [plant/pump-7/#]\n")
    page = visit.open("/devices")
    row = page.get_by_role("row").filter(has_text="pump-7")
    expect(row).to_contain_text("site=hall-2")
    expect(row.get_by_text("no", exact=True)).to_be_visible()
    if load_credentials(StackWorkspace(workspace.root)).is_guest:
        _add_the_first(page)
    page.get_by_role("button", name="New password for pump-7").click()
    page.get_by_role("button", name="New password", exact=True).click()
    dialog = page.get_by_role("dialog", name="The login of pump-7")
    expect(dialog).to_contain_text(re.compile(r"password: \S{20}"), timeout=60_000)
    visit.look("devices-login")
    dialog.get_by_role("button", name="Done").click()
    expect(row.get_by_text("yes", exact=True)).to_be_visible()
    visit.look("devices-logins")
    _call(visit, page)
    expect(row.get_by_text("never", exact=True)).to_be_visible()
    page.get_by_role("link", name="pump-7").click()
    page.get_by_role("textbox", name="Change what is desired").fill('{"fan": "on"}')
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_label("Desired", exact=True)).to_contain_text('"fan": "on"')
    expect(page.get_by_text("Not reported so")).to_be_visible()
    page.get_by_text("Changes", exact=True).click()
    expect(page.get_by_role("row").filter(has_text='{"fan": "on"}')).to_contain_text("desired")
    visit.look("device-twin")
    expect(page.get_by_role("region", name="Calls of pump-7").get_by_role("row")).to_have_count(2)
    page.go_back()
    page.get_by_role("searchbox", name="Find devices").fill("hall-3")
    expect(page.get_by_text("No device is called so.")).to_be_visible()
    page.get_by_role("searchbox", name="Find devices").fill("hall-2")
    form = page.get_by_role("textbox", name="Name")
    form.fill("a b")
    form.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="letters, digits")).to_be_visible()
    expect(form).to_have_value("a b")
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Lock pump-7 out").click()
    page.get_by_role("button", name="Lock out", exact=True).click()
    expect(row.get_by_text("no", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove pump-7").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(row).to_have_count(0)
    assert not (folder / "pump-7.yaml").exists()


def test_older_answer_does_not_take_the_place_of_what_is_looked_for(visit: Visit, workspace: Workspace) -> None:
    path = workspace.root / "devices" / "lateness.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    page = visit.open("/devices")
    row = page.get_by_role("row").filter(has_text="lateness")
    expect(row).to_be_visible()
    held = list[Route]()
    page.route("**/devices/logins?contains=", lambda route: held.append(route))
    with page.expect_request("**/devices/logins?contains="):
        page.evaluate("document.body.dispatchEvent(new Event('devices-changed'))")
    page.get_by_role("searchbox", name="Find devices").fill("no-such-device")
    expect(page.get_by_text("No device is called so.")).to_be_visible()
    await_route(page, held).continue_()
    page.wait_for_timeout(1000)
    expect(row).to_have_count(0)
    path.unlink()


def test_the_longest_name_fits_on_a_phone(visit: Visit, workspace: Workspace) -> None:
    path = workspace.root / "devices" / f"{'w' * 63}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("description: A pump\n")
    visit.page.set_viewport_size(PHONE)
    visit.open(f"/devices/logins/{path.stem}")
    visit.check_width("the device's page")
    path.unlink()


def _call(visit: Visit, page: Page) -> None:
    """Call the device, which is away."""
    page.get_by_role("button", name="Call pump-7").click()
    dialog = page.get_by_role("dialog", name="Call pump-7")
    dialog.get_by_role("textbox", name="Method").fill("open")
    dialog.get_by_role("textbox", name="Data").fill('{"valve": 2}')
    dialog.get_by_role("spinbutton", name="Wait").fill("0")
    dialog.get_by_role("button", name="Call", exact=True).click()
    expect(dialog.get_by_role("row").filter(has_text='{"valve": 2}')).to_contain_text("queued")
    visit.look("devices-call")
    _close_before_an_answer(page, dialog)
    page.get_by_role("button", name="Call pump-7").click()
    # The answer that does not come.
    visit.foreseen = BROKEN
    _look_again_after_a_failure(page, dialog)


def _copy_without_tls(page: Page, dialog: Locator) -> None:
    """Copy as a page does that came from another machine without TLS, where browsers give it no clipboard."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    dialog.get_by_role("button", name="Copy the login").click()
    expect(page.locator("[data-toasts]")).to_contain_text("Copied.")
    assert "user: my-phone" in page.evaluate("getSelection().toString()")


def _open_a_second_tab(found: Page) -> None:
    """Go on in another tab, and then in the first again: only one is connected."""
    other = found.context.new_page()
    other.goto(found.url)
    expect(other.get_by_role("status")).to_have_text("Connected as my-phone.")
    expect(found.get_by_role("status")).to_contain_text("goes on in another tab")
    other.wait_for_timeout(2500)
    expect(other.get_by_role("status")).to_have_text("Connected as my-phone.")
    found.reload()
    expect(found.get_by_role("status")).to_have_text("Connected as my-phone.")
    expect(other.get_by_role("status")).to_contain_text("goes on in another tab")
    other.close()


def _add_the_first(page: Page) -> None:
    """Be asked about the account that everybody knows, and keep it: what was typed stays, until it is sent again."""
    dialog = page.get_by_role("dialog", name="End the account guest?")
    page.get_by_role("button", name="New password for pump-7").click()
    page.get_by_role("button", name="New password", exact=True).click()
    expect(dialog.get_by_role("button", name="End guest, give pump-7 a password")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    name, labels = page.get_by_role("textbox", name="Name"), page.get_by_role("textbox", name="Labels")
    name.fill("pump-8")
    labels.fill("site=hall-2")
    labels.press("Enter")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(name).to_have_value("pump-8")
    expect(labels).to_have_value("site=hall-2")
    labels.press("Enter")
    dialog.get_by_role("button", name="End guest, add pump-8").click()
    page.get_by_role("dialog", name="The login of pump-8").get_by_role("button", name="Done").click(timeout=60_000)
    expect(name).to_have_value("")
    page.get_by_role("button", name="Remove pump-8").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="pump-8")).to_have_count(0)


def _close_before_an_answer(page: Page, dialog: Locator) -> None:
    """Close the dialog while the list of calls is looked at again: what comes then does not open it."""
    path, waiting = "**/calls/list", list[Route]()
    page.route(path, lambda route: waiting.append(route))
    look = await_route(page, waiting)
    dialog.get_by_role("button", name="Close").click()
    with page.expect_response(path) as answer:
        look.continue_()
    answer.value.finished()
    page.unroute(path)
    page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100)))")
    expect(dialog).to_be_hidden()


def _look_again_after_a_failure(page: Page, dialog: Locator) -> None:
    """See what the call has come to, also where the dashboard did not answer once; and no more when it is closed."""
    path, asked = "**/calls/list", list[Request]()
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/calls/list")):
        page.route(path, lambda route: route.abort(), times=1)
    with page.expect_response(path):
        pass
    dialog.get_by_role("button", name="Close").click()
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/calls/list") else None)
    page.wait_for_timeout(3000)
    assert not asked


def test_phone_becomes_a_device_and_its_slider_is_seen(visit: Visit, workspace: Workspace, chromium: Browser) -> None:
    folder = workspace.root / "devices"
    folder.mkdir(exist_ok=True)
    (folder / "my-phone.yaml").write_text("{}\n")
    page = visit.open("/devices")
    page.get_by_role("button", name="Connect my-phone").click()
    dialog = page.get_by_role("dialog", name="Connect my-phone")
    dialog.get_by_text("Node.js").click()
    expect(dialog.get_by_label("Program in Node.js")).to_contain_text("devices/my-phone/temperature")
    _copy_without_tls(page, dialog)
    visit.look("devices-connect")
    dialog.get_by_role("button", name="Use a phone instead").click()
    dialog = page.get_by_role("dialog", name="A phone as my-phone")
    # Unless another test has ended it.
    guest = page.get_by_role("button", name="End guest, use a phone")
    expect(guest.or_(dialog)).to_be_visible()
    if guest.is_visible():
        guest.click()
    address = dialog.get_by_label("Address").inner_text()
    assert address.startswith(f"https://127.0.0.1:{workspace.settings.ports.https}/phone/")
    visit.look("devices-phone")
    dialog.get_by_role("button", name="Done").click()
    # A phone that does not know the stack's authority, whose user goes on all the same.
    context = chromium.new_context(viewport=PHONE, has_touch=True, ignore_https_errors=True)
    phone = Visit(context.new_page(), address.partition("/phone/")[0], visit.pictures)
    found = phone.open(address.removeprefix(phone.address))
    found.get_by_role("button", name="Connect").click()
    # The account guest may end first, for broker and functions.
    expect(found.get_by_role("status")).to_have_text("Connected as my-phone.", timeout=60_000)
    assert found.url.endswith("/phone")
    found.get_by_label("Slider").fill("73")
    expect(page.locator("#topics")).to_contain_text(re.compile(r"devices/my-phone/slider\s*MQTT\s*73"), timeout=30_000)
    phone.check_accessible("phone")
    phone.picture("phone")
    # The link is used; the phone has its login, until it is locked out.
    phone.open("/phone")
    expect(found.get_by_role("status")).to_have_text("Connected as my-phone.")
    _open_a_second_tab(found)
    workspace.invoke("device", "revoke", "my-phone")
    expect(found.get_by_role("status")).to_have_text(re.compile("may not log in any more"), timeout=30_000)
    context.close()
    assert not [one for one in phone.troubles if "WebSocket" not in one]
    workspace.invoke("device", "remove", "my-phone", "--yes")
    # The account of the service that lets devices in ends with the last of them.
    assert "tidegate-devices" not in workspace.invoke("plan", check=False).stdout
