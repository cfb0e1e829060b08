"""Who may come in: hosts, changes, logins, and what browsers may do with answers."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from stack.dashboard.app import make_app
from stack.dashboard.security import auth as throttle
from stack.dashboard.security.auth import Authenticator, Throttle, TooManyAttempts
from stack.dashboard.security.headers import HostGuard
from stack.dashboard.services import open_services
from stack.errors import ConfigError
from stack.state.access import USER, Made, load_access, make_access
from stack.state.workspace import VARIABLE, Workspace
from tests.unit.dashboard.serving import Answer, Client, serving

FORM = "application/x-www-form-urlencoded"
GUARDED = "project: guarded\nbind: 0.0.0.0\nimages: {source: debian}\ndashboard: {proxies: [127.0.0.0/8]}\n"


@dataclass(frozen=True)
class Guarded:
    """A dashboard that asks for a login."""

    client: Client
    made: Made

    def basic(self, password: str, user: str = USER) -> str:
        return "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    def log_in(self, password: str, next: str = "/", **headers: str) -> tuple[Answer, str]:
        """Log in as a browser does; return the answer and the cookie."""
        page = self.client.send("GET", "/login")
        cookie = page.headers["set-cookie"].partition(";")[0]
        form = {"user": USER, "password": password, "csrf_token": find_token(page)}
        path = f"/login?{urlencode({'next': next})}"
        body = urlencode(form).encode()
        sent = {"Cookie": cookie, "Content_Type": FORM, "Origin": self.client.url, **headers}
        answer = self.client.send("POST", path, body, **sent)
        return answer, answer.headers.get("set-cookie", "").partition(";")[0]


def find_token(page: Answer) -> str:
    match = re.search(r'name="csrf-token" content="([^"]+)"', page.body.decode())
    assert match
    return match[1]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    workspace = Workspace(tmp_path_factory.mktemp("guarded"))
    (workspace.root / "stack.yaml").write_text(GUARDED)
    made = make_access(workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(workspace.root))
        with serving() as client:
            yield Guarded(client, made)


@pytest.mark.parametrize("host", ["localhost:8070", "127.0.0.1", "[::1]:8070", "10.0.0.7:8070", "plant.localhost"])
def test_own_names_and_addresses_are_answered(client: Client, host: str) -> None:
    assert client.send("GET", "/healthz", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8070", "localhost.evil.example", "127.0.0.1.evil", ""])
def test_other_names_are_refused_also_on_this_machine(client: Client, host: str) -> None:
    answer = client.send("GET", "/api/functions", Host=host)
    assert answer.status == 421
    assert b"dashboard.hosts" in answer.body


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [("plant.local", True), ("a.works.example", True), ("works.example", False), ("a.b.works.example", False)],
)
def test_names_of_the_certificate_are_answered(host: str, is_answered: bool) -> None:
    """Of whose names one with an asterisk is any with one part more."""
    sent = []

    async def send(message: Message) -> None:
        sent.append(message.get("status"))

    guard = HostGuard(PlainTextResponse("found"), ("plant.local", "*.Works.example"))
    scope = {"type": "http", "headers": [(b"host", f"{host}:8443".encode())]}
    asyncio.run(guard(scope, receive=_receive, send=send))
    assert sent[0] == (200 if is_answered else 421)


async def _receive() -> Message:
    return {"type": "http.request"}


def test_change_of_a_program_needs_no_token_where_no_login_is_needed(client: Client) -> None:
    body = {"metadata": {"name": "plant"}, "spec": {}}
    assert client.send("POST", "/api/projects", body).status == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Cookie": "a=b"},
    ],
)
def test_change_that_a_browser_sends_for_another_site_is_refused(client: Client, headers: dict[str, str]) -> None:
    body = {"metadata": {"name": "theirs"}, "spec": {}}
    answer = client.send("POST", "/api/projects", body, **headers)
    assert answer.status == 403
    assert "load the page again" in answer.json["error"]
    assert "theirs" not in client.send("GET", "/api/projects").json


def test_change_with_the_sessions_token(client: Client) -> None:
    page = client.send("GET", "/functions")
    cookie, token = page.headers["set-cookie"].partition(";")[0], find_token(page)
    body = {"metadata": {"name": "ours"}, "spec": {}}
    sent = {"Cookie": cookie, "Origin": client.url}
    assert client.send("POST", "/api/projects", body, **sent, X_CSRF_Token="wrong").status == 403
    assert client.send("POST", "/api/projects", body, **sent, X_CSRF_Token=token).status == 201


def test_page_older_than_its_session_is_given_the_token_of_now(client: Client) -> None:
    sent = {"Origin": client.url, "X_CSRF_Token": "of-before"}
    body = {"metadata": {"name": "later"}, "spec": {}}
    refused = client.send("POST", "/api/projects", body, **sent)
    assert (refused.status, "once more" in refused.json["error"]) == (403, True)
    cookie = refused.headers["set-cookie"].partition(";")[0]
    sent |= {"Cookie": cookie, "X_CSRF_Token": refused.headers["x-csrf-token"]}
    assert client.send("POST", "/api/projects", body, **sent).status == 201


def test_form_of_another_site_is_given_neither_token_nor_session(client: Client) -> None:
    answer = client.send("POST", "/functions/deploy", b"csrf_token=a", Content_Type=FORM, Origin="http://evil.example")
    assert answer.status == 403
    assert not {"x-csrf-token", "set-cookie"} & set(answer.headers)


def test_cookies_are_closed(client: Client) -> None:
    cookie = client.send("GET", "/functions").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_policy_of_pages_and_of_what_functions_answer(client: Client) -> None:
    page = client.send("GET", "/functions").headers
    assert "script-src 'self'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"]
    assert "frame-ancestors 'none'" in page["content-security-policy"]
    assert page["x-content-type-options"] == "nosniff"
    answer = client.send("GET", "/api/function_invocations", X_Nuclio_Function_Name="none").headers
    assert "sandbox" in answer["content-security-policy"]


def test_no_other_site_reads_answers(client: Client) -> None:
    headers = client.send("GET", "/api/functions", Origin="http://evil.example").headers
    assert not any(name.startswith("access-control") for name in headers)


def test_without_a_login_nothing_is_told(guarded: Guarded) -> None:
    answer = guarded.client.send("GET", "/api/functions")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "invoke credentials" in answer.json["error"]
    page = guarded.client.send("GET", "/functions?project=plant")
    assert (page.status, page.headers["location"]) == (303, "/login?next=%2Ffunctions%3Fproject%3Dplant")
    assert guarded.client.send("GET", "/live?topics=stack", Accept="text/event-stream").status == 401
    assert guarded.client.send("GET", "/healthz").status == 200
    assert guarded.client.send("GET", "/static/app.css").status == 200


def test_credentials_of_programs(guarded: Guarded) -> None:
    send, made = guarded.client.send, guarded.made
    assert send("GET", "/api/functions", Authorization=guarded.basic(made.password)).status == 200
    assert send("GET", "/api/functions", Authorization=f"Bearer {made.token}").status == 200
    body = {"metadata": {"name": "plant"}, "spec": {}}
    assert send("POST", "/api/projects", body, Authorization=f"Bearer {made.token}").status == 201
    foreign = {"Authorization": guarded.basic(made.password), "Origin": "http://evil.example"}
    assert send("POST", "/api/projects", body, **foreign).status == 403


@pytest.mark.parametrize("kind", ["Bearer wrong", "Basic wrong", "Basic", "Negotiate abc"])
def test_wrong_credentials_are_refused(guarded: Guarded, kind: str) -> None:
    assert guarded.client.send("GET", "/api/functions", Authorization=kind).status == 401


def test_login_and_its_end(guarded: Guarded) -> None:
    wrong, _ = guarded.log_in("wrong")
    assert (wrong.status, "invoke credentials" in wrong.body.decode()) == (401, True)
    answer, cookie = guarded.log_in(guarded.made.password, next="/broker?queue=a")
    assert (answer.status, answer.headers["location"]) == (303, "/broker?queue=a")
    page = guarded.client.send("GET", "/functions", Cookie=cookie)
    assert page.status == 200
    form = urlencode({"csrf_token": find_token(page)}).encode()
    fresh = page.headers.get("set-cookie", cookie).partition(";")[0]
    ended = guarded.client.send("POST", "/logout", form, Cookie=fresh, Content_Type=FORM, Origin=guarded.client.url)
    assert (ended.status, ended.headers["location"]) == (303, "/login")
    assert "expires=thu, 01 jan 1970" in ended.headers["set-cookie"].lower()
    # Nor does a copy of the cookie let anybody in; another browser's session goes on.
    for copy in (cookie, fresh):
        assert guarded.client.send("GET", "/api/functions", Cookie=copy).status == 401


def test_part_of_a_page_is_refused_in_words_after_the_login(guarded: Guarded) -> None:
    """The page that asked for it stays, and what was typed there."""
    answer = guarded.client.send("POST", "/functions/new", b"name=a", Content_Type=FORM, HX_Request="true")
    assert (answer.status, "hx-redirect" in answer.headers) == (401, False)
    assert answer.body.decode() == "You are logged out. Log in in another tab, then try again.\n"


def test_login_page_that_is_too_old_is_shown_once_more(guarded: Guarded) -> None:
    form = urlencode({"user": USER, "password": guarded.made.password, "csrf_token": "of-before"}).encode()
    sent = {"Content_Type": FORM, "Origin": guarded.client.url}
    answer = guarded.client.send("POST", "/login?next=%2Fdata", form, **sent)
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Fdata&old")
    page = guarded.client.send("GET", answer.headers["location"]).body.decode()
    assert "Log in once more." in page
    # Who has logged in in another tab meanwhile is led on.
    _, cookie = guarded.log_in(guarded.made.password)
    answer = guarded.client.send("POST", "/login?next=%2Fdata", form, **sent, Cookie=cookie)
    led = guarded.client.send("GET", answer.headers["location"], Cookie=cookie)
    assert (led.status, led.headers["location"]) == (303, "/data")


def test_logout_ends_one_session_and_no_other(guarded: Guarded) -> None:
    (_, ours), (_, theirs) = (guarded.log_in(guarded.made.password) for _ in range(2))
    page = guarded.client.send("GET", "/functions", Cookie=ours)
    form = urlencode({"csrf_token": find_token(page)}).encode()
    ours = page.headers.get("set-cookie", ours).partition(";")[0]
    guarded.client.send("POST", "/logout", form, Cookie=ours, Content_Type=FORM, Origin=guarded.client.url)
    assert guarded.client.send("GET", "/api/functions", Cookie=ours).status == 401
    assert guarded.client.send("GET", "/api/functions", Cookie=theirs).status == 200


def test_cookie_is_for_tls_alone_where_a_trusted_proxy_says_so(guarded: Guarded) -> None:
    plain, _ = guarded.log_in(guarded.made.password)
    assert "secure" not in plain.headers["set-cookie"].lower()
    guarded_by_tls, cookie = guarded.log_in(guarded.made.password, X_Forwarded_Proto="https")
    assert "; secure" in guarded_by_tls.headers["set-cookie"].lower()
    assert guarded.client.send("GET", "/api/functions", Cookie=cookie, X_Forwarded_Proto="https").status == 200


def test_no_other_program_is_believed_whom_it_speaks_for(client: Client) -> None:
    headers = client.send("GET", "/functions", X_Forwarded_Proto="https").headers
    assert "secure" not in headers["set-cookie"].lower()


def test_right_password_waits_for_no_wrong_one(tmp_path: Path) -> None:
    made = make_access(Workspace(tmp_path))
    authenticator = Authenticator(load_access(Workspace(tmp_path)))

    async def try_all() -> None:
        wrong = [asyncio.create_task(authenticator.takes_password(USER, f"{n}", "10.0.0.7")) for n in range(30)]
        refused, waiting = await asyncio.wait(wrong, return_when=asyncio.FIRST_COMPLETED)
        assert waiting and all(isinstance(one.exception(), TooManyAttempts) for one in refused)
        basic = b64encode(f"{USER}:{made.password}".encode()).decode()
        assert await authenticator.takes_password(USER, made.password, "10.0.0.7")
        assert await authenticator.takes_header(f"Basic {basic}", "10.0.0.7")
        assert await authenticator.takes_header(f"Bearer {made.token}", "10.0.0.7")
        # The last of them waits for most of a minute; on a busy machine the first may have ended.
        assert sum(not one.done() for one in waiting) > 3
        for one in waiting:
            one.cancel()
        await asyncio.wait(wrong)

    asyncio.run(try_all())


def test_login_of_an_older_release_has_a_hash_alone(tmp_path: Path) -> None:
    made = make_access(Workspace(tmp_path))
    access = load_access(Workspace(tmp_path))
    assert access
    authenticator = Authenticator(replace(access, password_digest=""))
    assert asyncio.run(authenticator.takes_password(USER, made.password, "10.0.0.7"))


def test_wrong_passwords_are_counted_by_client(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    async def note(_throttle: Throttle, address: str, _check: object) -> bool:
        counted.append(address)
        return False

    monkeypatch.setattr(Throttle, "attempt", note)
    for client in (
        "203.0.113.7",
        "10.9.9.9, 203.0.113.8",
        "2001:db8:1:2:3::4",
        "2001:db8:1:2::9",
        "::ffff:203.0.113.7",
    ):
        guarded.client.send("GET", "/api/functions", Authorization="Bearer x", X_Forwarded_For=client)
    assert counted == ["203.0.113.7", "203.0.113.8", "2001:db8:1:2::/64", "2001:db8:1:2::/64", "203.0.113.7"]


def test_login_on_this_machine_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.yaml").write_text("dashboard: {login: always}\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=r"dashboard.login: always needs a login; type `invoke credentials`"):
        make_app(open_services())
    make_access(Workspace(tmp_path))
    with serving() as client:
        assert client.send("GET", "/api/functions").status == 401


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_login_leads_to_no_other_site(guarded: Guarded, next: str) -> None:
    answer, _ = guarded.log_in(guarded.made.password, next=next)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_session_of_another_password_is_none(guarded: Guarded) -> None:
    _, cookie = guarded.log_in(guarded.made.password)
    name, _, value = cookie.partition("=")
    assert guarded.client.send("GET", "/api/functions", Cookie=f"{name}={value[:-2]}xx").status == 401


def test_no_login_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.yaml").write_text("bind: 0.0.0.0\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match="invoke credentials"):
        make_app(open_services())


def test_login_is_kept_as_hashes_that_only_its_owner_reads(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    made = make_access(workspace)
    (path,) = workspace.secrets.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert made.password not in text
    assert made.token not in text
    access = load_access(workspace)
    assert access
    assert (access.takes_token(made.token), access.takes_token("wrong")) == (True, False)
    make_access(workspace)
    assert load_access(workspace) != access


def test_wrong_passwords_are_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async def say(is_right: bool) -> bool:
        return is_right

    async def try_many() -> None:
        slow = Throttle()
        for _ in range(7):
            assert not await slow.attempt("10.0.0.7", lambda: say(False))
        assert await slow.attempt("10.0.0.7", lambda: say(True))
        assert not await slow.attempt("10.0.0.7", lambda: say(False))

    monkeypatch.setattr(throttle, "sleep", note)
    asyncio.run(try_many())
    assert waits == [0.5, 1, 2, 4, 8, 16, 16, 0.5]


def test_wrong_passwords_are_slowed_down_however_many_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async def refuse() -> bool:
        return False

    async def try_many() -> None:
        slow = Throttle()
        for _ in range(1100):
            assert not await slow.attempt("10.0.0.7", refuse)

    monkeypatch.setattr(throttle, "sleep", note)
    asyncio.run(try_many())
    assert waits[-1] == 16


def test_many_attempts_at_once_are_refused() -> None:
    async def wait() -> bool:
        await asyncio.sleep(0.2)
        return True

    async def try_many() -> list[bool | BaseException]:
        slow = Throttle()
        attempts = [slow.attempt("10.0.0.7", wait) for _ in range(10)]
        other = slow.attempt("10.0.0.8", wait)
        return await asyncio.wait_for(asyncio.gather(*attempts, other, return_exceptions=True), 60)

    *results, other = asyncio.run(try_many())
    assert sum(isinstance(one, TooManyAttempts) for one in results) == 2
    assert other is True


def test_wrong_settings_are_told_on_a_page(client: Client, workspace: Workspace) -> None:
    path = workspace.root / "stack.yaml"
    text = path.read_text()
    path.write_text("ports: {amqp: no}\n")
    try:
        answer = client.send("GET", "/broker")
    finally:
        path.write_text(text)
    assert answer.status == 400
    assert "stack.yaml: ports.amqp" in answer.body.decode()


def test_dashboard_that_began_without_a_login_lets_no_one_in_where_one_is_wanted(client: Client) -> None:
    assert client.send("GET", "/api/functions").status == 200
    assert client.send("GET", "/api/functions", X_Tidegate_Login="required").status == 401
