import re

from playwright.sync_api import Page, Request, expect

from tests.browser.visit import BROKEN, Visit


def test_theme_is_switched_and_kept(visit: Visit) -> None:
    page = visit.open("/demo")
    switch = page.get_by_role("button", name="Colours")
    background = "getComputedStyle(document.body).backgroundColor"
    expect(switch).to_have_accessible_name("Colours: as the system")
    light = page.evaluate(background)
    switch.click()
    expect(switch).to_have_accessible_name("Colours: light")
    switch.click()
    expect(switch).to_have_accessible_name("Colours: dark")
    assert page.evaluate(background) != light
    page.reload()
    expect(switch).to_have_accessible_name("Colours: dark")
    assert page.evaluate(background) != light
    switch.click()
    expect(switch).to_have_accessible_name("Colours: as the system")
    assert page.evaluate(background) == light


def test_keyboard_skips_to_the_content_and_goes_along_the_map(visit: Visit) -> None:
    page = visit.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("region", name="Map of the stack").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('data-name')") == "amqpconsume":
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visit.address}/functions/amqpconsume/code")


def test_lost_connection_is_told_and_comes_back(visit: Visit) -> None:
    page = visit.page
    visit.foreseen = BROKEN
    page.route("**/live?**", lambda route: route.abort())
    visit.open("/demo")
    banner = page.get_by_text("Connection lost")
    expect(banner).to_be_visible()
    page.unroute_all()
    expect(banner).to_be_hidden()
    # What other tests have left may be a problem.
    expect(page.locator("[data-health-text]")).to_have_text(re.compile("Healthy|problem"))


def test_lost_connection_is_told_once_of_what_a_page_looks_at_by_itself(visit: Visit) -> None:
    page = visit.open("/functions/amqpevent/code")
    expect(page.locator(".cm-content")).to_be_visible()
    toasts = page.locator("[data-toasts] > *")
    visit.foreseen = BROKEN
    page.route("**/files", lambda route: route.abort())

    def is_of_files(request: Request) -> bool:
        # The page opens its stream again now and then, which ends the older one.
        return request.url.endswith("/files")

    for _ in range(2):
        with page.expect_event("requestfailed", is_of_files):
            page.evaluate("dispatchEvent(new Event('focus'))")
    # What a person has pressed is told, and once.
    page.get_by_role("button", name="New file").click()
    page.get_by_label("Path", exact=True).fill("new.py")
    for _ in range(2):
        with page.expect_event("requestfailed", is_of_files):
            page.get_by_role("button", name="Make it").click()
    expect(toasts).to_have_text(re.compile("See whether it was done"))


def test_tabs_behind_the_one_that_is_seen_leave_it_connections(visit: Visit) -> None:
    page, behind = visit.page, list[Page]()
    for _ in range(7):
        tab = page.context.new_page()
        # Without a screen, Chromium calls each tab visible.
        tab.add_init_script("Object.defineProperty(document, 'hidden', { get: () => !window.isSeen })")
        behind.append(tab)
        tab.goto(f"{visit.address}/demo")
    visit.open("/demo")
    expect(page.locator("html[data-live=on]")).to_be_attached()
    live = behind[0].locator("html[data-live=on]")
    expect(live).to_have_count(0)
    behind[0].evaluate("window.isSeen = true, document.dispatchEvent(new Event('visibilitychange'))")
    expect(live).to_be_attached()


def test_page_that_does_not_exist_says_so(visit: Visit) -> None:
    visit.foreseen = "Failed to load resource: .* status of 404"
    page = visit.open("/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    visit.check_accessible("404")
