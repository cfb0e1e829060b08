import re

from playwright.sync_api import expect

from tests.browser.visit import Visit


def test_functions_are_deployed_and_readings_become_lines_alerts_and_a_verdict(visit: Visit) -> None:
    page = visit.open("/demo")
    page.get_by_label("Readings").fill("40")
    page.get_by_label("A second").fill("20")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("button", name="Start")).to_be_hidden()
    verdict = page.get_by_text("40 readings sent, and each was answered.")
    # It can be stopped for two seconds, which a busy machine may not see.
    expect(page.get_by_role("button", name="Stop").or_(verdict).first).to_be_visible(timeout=200_000)
    expect(verdict).to_be_visible(timeout=60_000)
    expect(page.locator("[data-stat=sent]")).to_have_text("40 of 40")
    expect(page.locator("[data-stat=lost]")).to_have_text("0")
    expect(page.locator("[data-demo-answers] tr")).to_have_count(40)
    expect(page.locator("[data-demo-alerts]")).to_contain_text("high")
    expect(page.locator("[data-stat=p50]")).to_have_text(re.compile(r"\d ms|\d s"))
    visit.check_weight()
    visit.look("demo")


def test_demo_that_is_too_long_is_refused_in_words(visit: Visit) -> None:
    page = visit.open("/demo")
    page.get_by_label("Sensors").evaluate("field => field.removeAttribute('max')")
    page.get_by_label("Sensors").fill("7")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("status").filter(has_text="at most")).to_contain_text("6 sensors")
