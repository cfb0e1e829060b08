"""The functions' pages, as the tutorial goes through Nuclio's: a project, a function, Deploy; then a change, a mistake,
and the way back."""

import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.visit import BROKEN, PHONE, Visit, await_route
from tests.docker.workspace import Workspace, fetch, wait_until

_NAME, _PROJECT = "tutorialwalk", "tutorial"
_CODE = 'def handler(context, event):\n    return "one"\n'
# As the tutorial's own, which is for Node.js.
_YAML = """\
apiVersion: "nuclio.io/v1"
kind: Function
metadata:
  name: {name}
  namespace: nuclio
spec:
  handler: "main:handler"
  runtime: {runtime}
  image: "nuclio/processor-{name}:latest"
  minReplicas: 1
  maxReplicas: 1
  targetCPU: 75
  build:
    functionSourceCode: {code}
    codeEntryType: sourceCode
  platform: {{}}
"""


@pytest.fixture
def walker(visit: Visit, workspace: Workspace) -> Iterator[Visit]:
    """A visit whose function and project are gone at the end."""
    yield visit
    if _NAME in workspace.functions():
        workspace.invoke("delete-function", _NAME, "--yes", check=False)
        shutil.rmtree(workspace.root / "functions" / _NAME, ignore_errors=True)
    (workspace.root / "functions/.projects" / f"{_PROJECT}.yaml").unlink(missing_ok=True)


@pytest.fixture
def write(workspace: Workspace) -> Iterator[Callable[..., Path]]:
    """Write functions that are gone at the end."""
    written: list[Path] = []

    def write_one(name: str, code: str, config: str = "") -> Path:
        written.append(workspace.write_function(name, code, config))
        return written[-1]

    yield write_one
    for folder in written:
        shutil.rmtree(folder)


def test_the_tutorials_walk(walker: Visit, workspace: Workspace) -> None:
    page = walker.open("/functions")
    _make_project(page)
    _import(page, runtime="golang")
    expect(page.get_by_role("alert")).to_contain_text("spec.runtime: 'golang' is not supported; Tidegate runs python")
    _import(page, runtime="python")
    expect(page.get_by_role("heading", name=_NAME)).to_be_visible()
    expect(page.get_by_role("link", name=_PROJECT, exact=True)).to_be_visible()
    expect(page.locator(".cm-content")).to_contain_text('return "one"')
    _deploy(page, "Revision 1 is ready")
    address = page.get_by_label("Deploy", exact=True).get_by_role("link").inner_text()
    assert fetch(address) == (200, "one")

    _write(page, _CODE.replace("one", "two"))
    _deploy(page, "Revision 2 is ready", button="Save & deploy")
    assert fetch(address) == (200, "two")

    _write(page, f"import nothing_of_that_name\n\n\n{_CODE}")
    _deploy(page, "The deploy failed", button="Save & deploy")
    panel = page.get_by_label("Deploy", exact=True)
    expect(panel).to_contain_text("nothing_of_that_name")
    expect(panel).to_contain_text("Revision 2 runs on as before.")
    assert fetch(address) == (200, "two")

    walker.look("function-broken")
    page.get_by_role("link", name="Revisions").click()
    expect(page.get_by_label("What differs").locator("ins").first).to_contain_text("import nothing_of_that_name")
    walker.look("function-revisions")
    page.get_by_role("row", name=re.compile("^1 ")).get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(panel.get_by_role("heading")).to_have_text("Revision 3 is ready", timeout=60_000)
    assert fetch(address) == (200, "one")

    page.get_by_role("combobox", name="From").select_option("2")
    with page.expect_navigation():
        page.get_by_role("button", name="Compare").last.click()
    page.get_by_role("button", name="Restore these files").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.locator(".cm-content")).to_contain_text('return "two"')

    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(panel.get_by_role("heading")).to_have_text("Revision 4 is ready", timeout=60_000)
    expect(page.get_by_role("heading", name=_NAME)).to_contain_text("standby")
    _delete_project(page, workspace)


def test_what_others_write_is_not_lost(visit: Visit, write: Callable[..., Path]) -> None:
    code = _CODE + "".join(f"# Line {number}\n" for number in range(30))
    folder = write("editedtwice", code)
    page = visit.open("/functions/editedtwice/code")
    _write(page, code.replace("one", "mine"))
    (folder / "main.py").write_text(code.replace("one", "theirs"))
    page.keyboard.press("Control+s")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody else changed main.py")
    expect(dialog).to_contain_text("theirs")
    sign = dialog.locator(".cm-collapsedLines").first.evaluate("fold => getComputedStyle(fold, '::before').content")
    assert sign == '"…"'
    visit.look("function-conflict")
    dialog.get_by_role("button", name="Save mine over it").click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    assert "mine" in (folder / "main.py").read_text()


def test_what_is_written_while_a_file_is_read_again_stays(visit: Visit, write: Callable[..., Path]) -> None:
    folder = write("readagain", _CODE)
    page = visit.open("/functions/readagain/code")
    expect(page.locator(".cm-content")).to_contain_text("one")
    held: list[Route] = []
    page.route("**/file?path=main.py", lambda route: held.append(route))
    (folder / "main.py").write_text(_CODE.replace("one", "theirs"))
    with page.expect_request("**/file?path=main.py"):
        page.evaluate("dispatchEvent(new Event('focus'))")
    _write(page, _CODE.replace("one", "mine"))
    await_route(page, held).continue_()
    expect(page.locator("[data-toasts]")).to_contain_text("main.py was changed by somebody else")
    expect(page.locator(".cm-content")).to_contain_text("mine")


def test_saving_twice_at_once_is_no_conflict(visit: Visit, write: Callable[..., Path]) -> None:
    folder = write("savedtwice", _CODE)
    page = visit.open("/functions/savedtwice/code")
    _write(page, _CODE.replace("one", "two"))
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 500, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", slow)
    page.keyboard.press("Control+s")
    page.keyboard.insert_text("# More\n")
    page.keyboard.press("Control+s")
    wait_until(lambda: "# More" in (folder / "main.py").read_text(), what="both saved")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_cannot_be_saved_for_now_stays_and_says_why(visit: Visit, write: Callable[..., Path]) -> None:
    write("cutoff", _CODE)
    page = visit.open("/functions/cutoff/code")
    _write(page, _CODE.replace("one", "mine"))
    visit.foreseen = BROKEN
    page.route("**/file?*", lambda route: route.abort())
    page.keyboard.press("Control+s")
    expect(page.locator("[data-toasts]")).to_contain_text("No answer came from the dashboard.")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()


def test_what_is_written_while_another_file_is_deleted_stays(visit: Visit, write: Callable[..., Path]) -> None:
    folder = write("deletedaway", _CODE)
    (folder / "old.py").write_text("")
    page = visit.open("/functions/deletedaway/code?file=old.py")
    held: list[Route] = []
    page.route("**/file?*", lambda route: held.append(route) if route.request.method == "DELETE" else route.continue_())
    page.get_by_label("More about this file").click()
    page.get_by_role("button", name="Delete").last.click()
    with page.expect_request(lambda request: request.method == "DELETE"):
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator("#files").get_by_role("button", name="main.py").click()
    expect(page.get_by_role("heading", name="main.py")).to_be_visible()
    _write(page, _CODE.replace("one", "mine"))
    await_route(page, held).continue_()
    expect(page.locator("#files").get_by_role("button", name="old.py")).to_have_count(0)
    expect(page.locator(".cm-content:visible")).to_contain_text("mine")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()


@pytest.mark.parametrize("tab", ["code", "triggers", "test", "dead-letters"])
def test_the_longest_name_fits_on_a_phone(visit: Visit, write: Callable[..., Path], tab: str) -> None:
    write("w" * 63, _CODE)
    visit.page.set_viewport_size(PHONE)
    visit.open(f"/functions/{'w' * 63}/{tab}")
    visit.check_width(tab)


def test_triggers_are_written_on_after_a_save(visit: Visit, write: Callable[..., Path]) -> None:
    config = "spec:\n  handler: main:handler\n  triggers:\n    clock: {kind: cron, attributes: {interval: 5s}}\n"
    folder = write("writtenon", _CODE, config)
    page = visit.open("/functions/writtenon/triggers")
    held: list[Route] = []
    page.route("**/triggers", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    interval, save = page.get_by_label("Interval"), page.get_by_role("button", name="Save", exact=True)
    interval.fill("7s")
    with page.expect_request("**/triggers"):
        save.click()
    # What was typed now would be gone with the form that the answer replaces.
    interval.focus()
    expect(interval).not_to_be_focused()
    await_route(page, held).continue_()
    expect(save).to_be_focused()
    assert "interval: 7s" in (folder / "function.yaml").read_text()
    page.unroute_all()
    page.get_by_role("button", name="YAML").click()
    page.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("# One\n")
    page.keyboard.press("Control+s")
    expect(page.locator(".cm-editor.cm-focused")).to_contain_text("# One")
    expect(page.locator("[data-dirty]")).to_be_hidden()
    expect(page.locator(".cm-content")).to_be_focused()
    page.keyboard.insert_text("# Two\n")
    expect(page.locator(".cm-content")).to_contain_text("# One# Two")
    page.keyboard.press("Control+s")
    wait_until(lambda: "# One\n# Two\n" in (folder / "function.yaml").read_text(), what="both lines saved")


def test_a_mistake_is_shown_where_it_is(visit: Visit, write: Callable[..., Path]) -> None:
    write("mistaken", _CODE, "spec:\n  handler: main:handler\n")
    page = visit.open("/functions/mistaken/code?file=function.yaml")
    _write(page, "spec:\n  handler: main:handler\n  runtim: python\n")
    problem = page.get_by_role("button", name="function.yaml:3")
    expect(problem).to_have_text("function.yaml:3  spec.runtim: is not a known key; did you mean 'runtime'?")
    visit.look("function-mistake")
    page.once("dialog", lambda dialog: dialog.dismiss())
    with page.expect_event("dialog") as asked:
        page.get_by_role("link", name="Overview").click()
    assert asked.value.type == "beforeunload"
    expect(problem).to_be_visible()


def test_an_older_check_that_is_late_leaves_the_mistake_shown(visit: Visit, write: Callable[..., Path]) -> None:
    write("checkedlate", _CODE, "spec:\n  handler: main:handler\n")
    page, held = visit.page, list[Route]()
    page.route("**/check", lambda route: held.append(route), times=1)
    visit.open("/functions/checkedlate/code?file=function.yaml")
    _write(page, "spec:\n  handler: main:handler\n  runtim: python\n")
    problem = page.get_by_role("button", name="function.yaml:3")
    expect(problem).to_be_visible()
    with page.expect_response("**/check") as late:
        await_route(page, held).continue_()
    late.value.finished()
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 100))")
    expect(problem).to_be_visible()


def test_files_are_made_renamed_and_deleted(visit: Visit, write: Callable[..., Path]) -> None:
    folder = write("filed", _CODE)
    page = visit.open("/functions/filed/code")
    page.get_by_role("button", name="New file").click()
    page.get_by_label("Path", exact=True).fill("../outside.py")
    page.get_by_role("button", name="Make it").click()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("is no path of a file below the function's folder")
    # A dialog covers what is not within it: this can be read, and pressed.
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)
    expect(page.get_by_role("dialog", name="New file")).to_be_visible()
    page.get_by_label("Path", exact=True).fill("lib/units.py")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="lib/units.py")).to_be_visible()
    page.get_by_label("More about this file").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("New path").fill("units.py")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="units.py", exact=True)).to_be_visible()
    page.get_by_label("More about this file").click()
    page.get_by_role("button", name="Delete").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="units.py")).to_have_count(0)
    page.locator("[data-upload-input]").set_input_files({"name": "a.bin", "mimeType": "", "buffer": b"\0\1"})
    expect(page.locator("[data-editors]")).to_contain_text("a.bin is no text")
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin", "function.yaml", "main.py"]


def test_functions_are_found(visit: Visit, deployed: Callable[..., None]) -> None:
    deployed("mqttevent")
    page = visit.open("/functions")
    row = page.get_by_role("row", name=re.compile("mqttevent"))
    expect(row.locator("[data-label=State]")).to_have_text("ready")
    expect(row.locator("[data-label=Memory]")).to_contain_text("MB")
    visit.check_weight()
    visit.look("functions")
    page.keyboard.press("/")
    page.keyboard.type("mqttev")
    expect(page.get_by_role("row").filter(has_text="amqp")).to_have_count(0)
    expect(row).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("row", name=re.compile("amqpevent"))).to_be_visible()
    visit.open("/functions/new")
    visit.check_weight()
    visit.look("function-new")
    visit.open("/functions/new?from=yaml")
    visit.look("function-import")


def test_an_update_leaves_what_is_open_and_typed(visit: Visit, write: Callable[..., Path]) -> None:
    page = visit.open("/functions")
    page.get_by_label("More about amqpevent").click()
    search = page.get_by_label("Search functions")
    search.fill("event")
    expect(page.get_by_role("link", name="temperaturealert")).to_be_hidden()
    write("newevent", _CODE)
    expect(page.get_by_role("link", name="newevent")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("link", name="temperaturealert")).to_be_hidden()
    expect(page.get_by_role("link", name="Export as YAML")).to_be_visible()
    expect(search).to_have_value("event")
    expect(search).to_be_focused()


def test_a_menu_without_an_answer_is_asked_for_again(visit: Visit) -> None:
    page, asked = visit.open("/functions"), []
    visit.foreseen = BROKEN
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/menu") else None)
    page.route("**/amqpevent/menu", lambda route: route.abort(), times=1)
    menu, link = page.get_by_label("More about amqpevent"), page.get_by_role("link", name="Export as YAML")
    menu.click()
    expect(page.get_by_text("No answer came from the dashboard.", exact=True)).to_be_visible()
    menu.click()
    menu.click()
    expect(link).to_be_visible()
    menu.click()
    expect(link).to_be_hidden()
    menu.click()
    expect(link).to_be_visible()
    assert len(asked) == 2


def test_a_late_answer_leaves_a_dialog_that_was_opened_again(walker: Visit) -> None:
    page, held = walker.open("/functions"), list[Route]()
    page.route("**/projects", lambda route: held.append(route))
    name = _open_new_project(page)
    name.fill(_PROJECT)
    page.get_by_role("button", name="Make it").click()
    request = await_route(page, held)
    page.keyboard.press("Escape")
    name = _open_new_project(page)
    name.fill("another")
    request.continue_()
    expect(page.get_by_role("heading", name=_PROJECT)).to_be_visible()
    expect(name).to_have_value("another")


def test_a_function_is_made_of_a_template_and_deleted(visit: Visit, workspace: Workspace) -> None:
    # A try before this one may have made it.
    shutil.rmtree(workspace.root / "functions/fromtemplate", ignore_errors=True)
    page = visit.open("/functions/new")
    page.get_by_text("MQTT topic").click()
    page.get_by_label("Name").fill("fromtemplate")
    page.get_by_label("Runtime").select_option("nodejs")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="fromtemplate")).to_contain_text("not deployed")
    expect(page.locator(".cm-content")).to_contain_text("exports.handler")
    # A word of JavaScript's that Python has not, in a colour of its own.
    expect(page.locator(".cm-content span").get_by_text("const", exact=True).first).to_be_visible()
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("(")
    mistake = page.locator(".cm-lint-marker-warning")
    expect(mistake).to_be_visible()
    page.keyboard.press("Backspace")
    expect(mistake).to_be_hidden()
    visit.check_weight()
    visit.look("function-code")
    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="Delete").first.click()
    expect(page.get_by_role("dialog")).to_contain_text(".stack/state/removed/fromtemplate")
    page.get_by_role("button", name="Cancel").click()
    visit.open("/functions")
    page.get_by_label("More about fromtemplate").click()
    visit.picture("functions-menu")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="fromtemplate")).to_have_count(0)
    wait_until(lambda: not (workspace.root / "functions/fromtemplate").exists(), what="the end of its folder")


def _open_new_project(page: Page) -> Locator:
    """Open the dialog that makes a project; return its field for the name."""
    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="New project").click()
    return page.get_by_label("Name")


def _make_project(page: Page) -> None:
    _open_new_project(page).fill(_PROJECT)
    page.get_by_label("What it is for").fill("As Nuclio's tutorial has it")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name=_PROJECT)).to_be_visible()


def _import(page: Page, *, runtime: str) -> None:
    """Import the YAML into the project, beginning from its card in the list if that is shown."""
    if page.url.endswith("/functions"):
        page.get_by_label(f"More about {_PROJECT}", exact=True).click()
        page.get_by_role("link", name="New function here").click()
        page.get_by_role("link", name="Nuclio’s YAML").click()  # noqa: RUF001 -- as it is written
    code = b64encode(_CODE.encode()).decode()
    page.get_by_role("textbox", name="YAML").fill(_YAML.format(name=_NAME, runtime=runtime, code=code))
    expect(page.get_by_label("Project")).to_have_value(_PROJECT)
    page.get_by_role("button", name="Import").click()


def _write(page: Page, text: str) -> None:
    """Write over the whole text of the editor."""
    page.locator(".cm-content:visible").click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)


def _deploy(page: Page, outcome: str, *, button: str = "Deploy") -> None:
    page.get_by_role("button", name=button, exact=True).click()
    panel = page.get_by_label("Deploy", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("building", timeout=30_000)
    expect(panel.get_by_role("heading")).to_have_text(outcome, timeout=90_000)


def _delete_project(page: Page, workspace: Workspace) -> None:
    page.get_by_role("link", name="Functions").first.click()
    page.get_by_label(f"More about {_PROJECT}", exact=True).click()
    page.get_by_role("button", name="Delete project").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(_NAME)
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name=_PROJECT)).to_have_count(0, timeout=60_000)
    assert _NAME not in workspace.functions()
