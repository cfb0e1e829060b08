"""A visit to the dashboard with a real Chromium: what a test checks of every page, and the pictures that it leaves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Error, Page, Request, Route, ViewportSize

from tests.docker.workspace import fetch, wait_until

CHROMIUM = "/usr/bin/chromium"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 375, "height": 812}
# Bytes that a page may weigh on its way to an empty cache, the code editor left out.
HEAVIEST = 150_000

_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Themes differ in colours alone.
_AXE: dict[str, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
_EDITOR = "/static/vendor/codemirror/"
_GRAVE = ("serious", "critical")
# A refusal that the page itself shows is no fault of the page; what is missing or breaks is.
# Chromium breaks off what is under way when a network of this machine comes or goes, as those of other tests do.
_NETWORKS = "net::ERR_NETWORK_CHANGED"
# What it then shows, while it is led to the page.
_ERROR_PAGE = "chrome-error://"
# So it says too where such a try was under way when the next one began.
_INTERRUPTED = "is interrupted by another navigation"
# In a network of its own the browser reaches a port up to a second after something began to listen at it.
_NOT_YET = "net::ERR_CONNECTION_REFUSED"
_TRIES = 20
# Milliseconds for what takes one or two seconds by itself.
PATIENCE = 30_000
# What it says of a request that a test has broken off.
BROKEN = r"Failed to load resource: net::ERR_FAILED|htmx:sendError"
_REFUSAL = re.compile(
    r"(Failed to load resource: .* status of|Response Status Error Code) (400|401|403|409|412|422|429)"
)
# What htmx says of a request that was under way when its page was left; one that failed has other words as well.
_ABORT = re.compile(r"htmx:(afterRequest|sendAbort), ")


@dataclass
class Visit:
    """A page of a browser of its own; `address` is the dashboard's, `pictures` the folder of its pictures, if any."""

    page: Page
    address: str
    pictures: Path | None
    troubles: list[str] = field(default_factory=list)
    """Errors of the console, violations of the policy among them; whatever is left here fails the test."""
    foreseen: str = ""
    """What the console says of what the test itself breaks, as a pattern: it may say so after the page has shown it."""
    cut_off: set[str] = field(default_factory=set)
    """Scripts and style sheets of the page that did not come, since the networks of this machine changed."""
    weights: dict[str, int] = field(default_factory=dict)
    """Bytes that came over the wire since the last `open`, by path."""

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("requestfailed", self._note_failure)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self._weigh()

    def open(self, path: str) -> Page:
        """Go to a page of the dashboard, again if Chromium broke off a part of it."""
        for _ in range(_TRIES):
            self.weights.clear()
            self.cut_off.clear()
            try:
                self.page.goto(f"{self.address}{path}")
            except Error as error:
                if not any(text in str(error) for text in (_NETWORKS, _ERROR_PAGE, _INTERRUPTED, _NOT_YET)):
                    raise
                self.page.wait_for_timeout(500)
            else:
                if not self.cut_off:
                    return self.page
        raise AssertionError(f"{path} was broken off {_TRIES} times: {self.cut_off}")

    def look(self, name: str) -> None:
        """Check what every page has to hold, light and dark, wide and narrow, and take pictures if they are wanted."""
        for theme in _THEMES:
            self.page.emulate_media(color_scheme=theme)
            self._settle()
            self.picture(f"{name}-{theme}")
            self.check_accessible(f"{name}, {theme}", _AXE[theme])
            self.page.set_viewport_size(PHONE)
            self._settle()
            self.picture(f"{name}-{theme}-phone")
            self.check_width(name)
            self.page.set_viewport_size(DESKTOP)
        self.page.emulate_media(color_scheme="light")

    def _settle(self) -> None:
        """Wait until what is drawn by the page's own programs is drawn again."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def check_accessible(self, what: str, options: dict[str, Any] | None = None) -> None:
        """Fail on what axe calls serious or critical."""
        found = Axe().run(self.page, options=options).response["violations"]
        grave = [_describe(one) for one in found if one["impact"] in _GRAVE]
        assert not grave, f"{what}:\n" + "\n".join(grave)

    def check_width(self, what: str) -> None:
        """Fail if the page scrolls sideways, as soon as its charts know how wide it is."""
        excess = "document.documentElement.scrollWidth - innerWidth"
        wait_until(lambda: self.page.evaluate(excess) <= 0, seconds=20, what=f"{what} as narrow as its screen")

    def check_weight(self) -> None:
        """Fail if what was loaded since `open` is too heavy."""
        weights = {path: size for path, size in self.weights.items() if not path.startswith(_EDITOR)}
        total = sum(weights.values())
        assert total < HEAVIEST, f"{total} bytes: {weights}"

    def picture(self, name: str) -> None:
        """Take a picture of the whole page, if pictures are wanted."""
        if not self.pictures:
            return
        self.pictures.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        assert size
        # As high as the page, so that what stays at the screen's edge covers nothing.
        height = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
        self.page.wait_for_timeout(150)
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")
        self.page.set_viewport_size(size)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or _NETWORKS in message.text:
            return
        is_foreseen = self.foreseen and re.match(self.foreseen, message.text)
        if not is_foreseen and not _REFUSAL.match(message.text) and not _ABORT.match(message.text):
            self.troubles.append(f"{message.text} ({message.location.get('url', '')})")

    def _note_failure(self, request: Request) -> None:
        if request.resource_type in ("script", "stylesheet") and _NETWORKS in (request.failure or ""):
            self.cut_off.add(request.url)

    def _weigh(self) -> None:
        """Count bytes as they come; a stream that stays open is never done, and so not counted."""
        client = self.page.context.new_cdp_session(self.page)
        client.send("Network.enable")
        paths: dict[str, str] = {}

        def note(event: dict[str, Any]) -> None:
            paths[event["requestId"]] = event["response"]["url"].removeprefix(self.address)

        def count(event: dict[str, Any]) -> None:
            path = paths.get(event["requestId"], "")
            self.weights[path] = self.weights.get(path, 0) + int(event["encodedDataLength"])

        client.on("Network.responseReceived", note)
        client.on("Network.loadingFinished", count)


def answers(address: str) -> bool:
    """Return whether a dashboard is well; one that does not listen yet is not."""
    try:
        return fetch(f"{address}/healthz")[0] == 200
    except OSError:
        return False


def await_route(page: Page, held: Sequence[Route]) -> Route:
    """Wait until a request is held back, and return it: Playwright hands it over after it has told of the request."""

    def is_held() -> bool:
        # It does so while it waits.
        page.wait_for_timeout(20)
        return bool(held)

    wait_until(is_held, what="the request that is held back")
    return held[0]


def _describe(violation: dict[str, Any]) -> str:
    places = "\n".join(f"  {node['html'][:200]}\n    {node['failureSummary']}" for node in violation["nodes"][:5])
    return f"{violation['id']}: {violation['help']}\n{places}"
