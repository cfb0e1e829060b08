import re
import shutil
import threading
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


def test_map_of_many_functions_is_shown_as_a_whole(visit: Visit, workspace: Workspace) -> None:
    page = visit.open("/")
    trigger = "spec: {triggers: {in: {kind: rabbit-mq, attributes: {exchangeName: iot/sensors, queueName: %s}}}}\n"
    names = [f"nuclio-{room}-readings" for room in ("attic", "cellar", "garden", "hall", "kitchen", "stable")]
    folders = [workspace.write_function(name, "", trigger % f"{name}-queue") for name in names]
    try:
        for name in names:
            expect(page.get_by_role("link", name=f"Queue {name}-queue")).to_be_visible(timeout=30_000)
        texts = page.locator(".map-node[data-kind=queue] .name").all_text_contents()
        assert len(set(texts)) == len(texts)
        region = page.get_by_role("region", name="Map of the stack")
        assert region.evaluate("region => region.scrollHeight - region.clientHeight") <= 0
        visit.look("overview-many")
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def test_rates_stand_on_the_arrows_and_in_the_table(
    visit: Visit, deployed: Callable[..., None], workspace: Workspace
) -> None:
    deployed("amqpconsume", "temperaturealert")
    page = visit.open("/")
    with workspace.start("client", "--count", "6000", "--rate", "20") as client:
        # It waits where no one reads what it prints.
        threading.Thread(target=client.stdout.read if client.stdout else list, daemon=True).start()
        rate = re.compile(r"^[1-9][\d.]*/s$")
        expect(page.locator("text[data-meter='exchange-in:iot/sensors']")).to_have_text(rate, timeout=30_000)
        expect(page.locator("path.map-edge.busy[data-meter='queue-out:iot/sensors']")).to_have_count(1)
        visit.look("overview-busy")
        page.get_by_role("button", name="Table").click()
        row = page.get_by_role("row", name="queue iot/sensors function amqpconsume")
        expect(row.get_by_role("cell").last).to_have_text(rate)
        visit.look("overview-table")
        client.terminate()


def test_what_is_wrong_comes_and_goes_by_itself(visit: Visit, workspace: Workspace) -> None:
    page = visit.open("/")
    expect(page.locator("[data-stat=ready]")).to_contain_text("of")
    folder = workspace.write_function("crooked", "", "spec: {triggers: {a: {kind: telepathy}}}\n")
    try:
        trouble = page.get_by_text("kind 'telepathy' is not supported yet")
        expect(trouble).to_be_visible(timeout=30_000)
        visit.look("overview-trouble")
    finally:
        shutil.rmtree(folder)
    expect(trouble).to_be_hidden(timeout=30_000)
