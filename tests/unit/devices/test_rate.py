"""How much devices send, and who is cut off."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stack.devices.rate import BARRED_SECONDS, BURST_SECONDS, RateMeter, RateWatch, Traffic
from stack.rabbitmq.management import Broker

LIMIT = 100
BROKER = Broker("host", 1, 2, 3, None)  # type: ignore[arg-type]


def measure(*looks: Sequence[tuple[str, str, int]]) -> list[list[str]]:
    """Return who has sent too much, for looks that are two seconds apart."""
    meter = RateMeter()
    return [
        [one.device for one in meter.look([Traffic(*each) for each in look], {"a": LIMIT, "b": LIMIT}, 2.0 * number)]
        for number, look in enumerate(looks)
    ]


def test_one_that_sends_as_it_may_is_left_alone() -> None:
    looks = [[("c", "a", 200 * number), ("d", "free", 10**6 * number)] for number in range(30)]
    assert measure(*looks) == [[]] * 30


def test_one_that_sends_more_is_found_once_its_burst_is_used_up() -> None:
    looks = [[("c", "a", 400 * number), ("d", "b", 100 * number)] for number in range(8)]
    assert measure(*looks) == [[], [], [], [], [], ["a"], [], []]


def test_all_connections_of_a_device_count_and_a_new_one_from_its_beginning() -> None:
    full = int(LIMIT * BURST_SECONDS)
    assert measure([("c", "a", 10**6)], [("c", "a", 10**6 + full // 2), ("d", "a", full)]) == [[], ["a"]]
    assert measure([("c", "a", 10**6)], [("d", "a", full)], [("d", "a", full)]) == [[], [], []], "the old one went"


def test_who_is_cut_off_may_not_log_in_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    received, asked = [0], []

    def request(_: Broker, method: str, path: str, _document: object = None) -> Any:
        asked.append(f"{method} {path.partition('?')[0]}")
        return [{"name": "c", "user": "a", "recv_oct": received[0]}, {"name": "starting"}]

    monkeypatch.setattr(Broker, "request", request)
    now = [1000.0]
    monkeypatch.setattr("stack.devices.rate.time.monotonic", lambda: now[0])
    watch = RateWatch(BROKER, tmp_path / "limits.json")
    watch.look(now[0])
    assert asked == [], "no one has a limit"
    (tmp_path / "limits.json").write_text(json.dumps({"a": LIMIT}))
    for received[0] in (0, 10_000):
        now[0] += 2
        watch.look(now[0])
    assert asked[-1] == "DELETE /api/connections/username/a"
    assert watch.is_barred("a") and not watch.is_barred("b")
    assert "a sends 5,000 bytes a second and may send 100: it is cut off" in " ".join(capsys.readouterr().err.split())
    now[0] += BARRED_SECONDS
    assert not watch.is_barred("a")
