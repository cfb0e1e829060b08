import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.visit import Visit
from tests.docker.workspace import Workspace


def test_stack_is_drawn_as_it_is(visit: Visit, deployed: Callable[..., None], workspace: Workspace) -> None:
    deployed("amqpconsume", "temperaturealert")
    workspace.invoke("client", "--count", "3", "--rate", "0")
    page = visit.open("/")
    for name in ("Exchange iot/sensors", "Queue iot/sensors/alert", "Function amqpconsume, ready", "Output iot/logs"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(page.locator("[data-stat=ready]")).to_have_text(re.compile(r"[2-5] of 5"))
    visit.check_weight()
    visit.look("overview")
