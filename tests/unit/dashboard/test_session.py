"""Sessions on the server: begun, ended, and over after their time."""

import time
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from stack.config.settings import Settings
from stack.dashboard.security import headers as client
from stack.dashboard.security import session
from stack.dashboard.security.headers import count_as, find_proxies
from stack.dashboard.security.session import Sessions
from stack.errors import HostError


def test_session_goes_on_when_the_dashboard_starts_again_and_a_logout_does_too(tmp_path: Path) -> None:
    path = tmp_path / ".sessions"
    sessions = Sessions(path, 60)
    kept, ended = sessions.begin(), sessions.begin()
    sessions.end(ended)
    for one in (sessions, Sessions(path, 60)):
        assert (one.is_alive(kept), one.is_alive(ended), one.is_alive("")) == (True, False, False)
    assert kept not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_session_is_over_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(tmp_path / ".sessions", 3600)
    name, began = sessions.begin(), time.time()
    for seconds, is_alive in ((0, True), (3500, True), (3700, False), (-200, True), (-4000, False)):
        monkeypatch.setattr(time, "time", lambda now=began + seconds: now)
        assert sessions.is_alive(name) is is_alive


def test_newest_sessions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_MOST", 3)
    sessions = Sessions(tmp_path / ".sessions", 3600)
    names = [sessions.begin() for _ in range(5)]
    assert [sessions.is_alive(name) for name in names] == [False, False, True, True, True]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": "b"}', "\xff"])
def test_of_a_broken_file_nothing_is_believed(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".sessions"
    path.write_text(text)
    sessions = Sessions(path, 60)
    assert sessions.is_alive(sessions.begin())


def test_full_disk_keeps_no_one_out_and_no_one_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".sessions"
    sessions = Sessions(path, 60)
    before = sessions.begin()

    def refuse(*_: object) -> bool:
        raise HostError("no space")

    monkeypatch.setattr(session, "write_file", refuse)
    assert sessions.is_alive(sessions.begin())
    sessions.end(before)
    assert not Sessions(path, 60).is_alive(before)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_address_counts_as(address: str, counted: str) -> None:
    assert count_as(address) == counted


ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_proxy_on_this_machine_comes_by_the_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "route").write_text(ROUTES)
    monkeypatch.setattr(client, "_ROUTES", tmp_path / "route")
    here, there = (Settings.model_validate({"dashboard": {"proxies": [one]}}) for one in ("127.0.0.1", "10.0.0.0/8"))
    assert find_proxies(here.dashboard.proxies, is_inside=True) == ["127.0.0.1/32", "172.18.0.1"]
    assert find_proxies(here.dashboard.proxies, is_inside=False) == ["127.0.0.1/32"]
    assert find_proxies(there.dashboard.proxies, is_inside=True) == ["10.0.0.0/8"]
    monkeypatch.setattr(client, "_ROUTES", tmp_path / "none")
    assert find_proxies(here.dashboard.proxies, is_inside=True) == ["127.0.0.1/32"]


def test_the_gateway_speaks_for_others_and_the_bridge_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "route").write_text(ROUTES)
    monkeypatch.setattr(client, "_ROUTES", tmp_path / "route")
    found = [ip_network(one) for one in find_proxies((), is_inside=True, has_gateway=True)]
    trusted = {
        address: any(ip_address(address) in one for one in found)
        for address in ("172.18.0.1", "172.18.0.2", "172.18.9.9", "10.0.0.1")
    }
    assert trusted == {"172.18.0.1": False, "172.18.0.2": True, "172.18.9.9": True, "10.0.0.1": False}
    assert find_proxies((), is_inside=False, has_gateway=True) == []
