"""Twins: how a device is to be, and how it says that it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.contract import MQTT_EXCHANGE
from stack.devices.link import Delivery, Publication
from stack.devices.store import open_store
from stack.devices.twin import KEPT, MOST_BYTES, MOST_LEVELS, Change, Part, Twins
from stack.errors import ConfigError, ConflictError

DELTA = "tidegate/devices/pump-7/twin/delta"


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Twins]:
    store = open_store(tmp_path)
    yield Twins(store, lambda name: name == "pump-7")
    store.close()


def want(twins: Twins, version: int | None = None, **patch: Any) -> list[Any]:
    return read(twins.change("pump-7", Change(Part.DESIRED, patch, version, "ann"))[1])


def report(twins: Twins, body: bytes | dict[str, Any], device: str = "pump-7") -> list[Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    key = f"tidegate.devices.{device}.twin.reported"
    return read(list(twins.take(Delivery(MQTT_EXCHANGE, key, {}, content, None))))


def read(said: list[Publication]) -> list[Any]:
    assert all(one.topic == DELTA for one in said)
    return [json.loads(one.body) for one in said]


def test_what_is_desired_and_not_reported_is_told(twins: Twins) -> None:
    assert want(twins, fan="on", speed=3) == [{"version": 1, "delta": {"fan": "on", "speed": 3}}]
    assert report(twins, {"fan": "on"}) == [{"version": 1, "delta": {"speed": 3}}]
    assert report(twins, {"speed": 3, "temperature": 21}) == []
    twin = twins.get("pump-7").as_document()
    assert twin["reported"] == {"fan": "on", "speed": 3, "temperature": 21}
    assert (twin["delta"], twin["desiredVersion"], twin["reportedVersion"]) == ({}, 1, 2)


def test_one_that_cannot_follow_is_not_told_for_ever(twins: Twins) -> None:
    want(twins, fan="on")
    assert report(twins, {"fan": "broken"}) == []
    assert report(twins, {"n": 1}) == []


def test_the_same_again_is_no_version(twins: Twins) -> None:
    want(twins, fan="on")
    before = twins.get("pump-7")
    assert want(twins, fan="on") == []
    assert twins.get("pump-7") == before
    assert len(twins.list_changes("pump-7")) == 1


def test_null_takes_away(twins: Twins) -> None:
    want(twins, fan="on", speed=3)
    assert want(twins, fan=None) == [{"version": 2, "delta": {"speed": 3}}]


def test_another_version_is_refused(twins: Twins) -> None:
    want(twins, 0, fan="on")
    with pytest.raises(ConflictError, match="has version 1 by now, not 0"):
        want(twins, 0, fan="off")
    want(twins, 1, fan="off")


def test_it_is_told_when_it_comes_back(twins: Twins) -> None:
    assert list(twins.arrive("pump-7", "")) == []
    want(twins, fan="on")
    for subscribed in ("", "twin/delta", "*/delta", "#"):
        assert read(list(twins.arrive("pump-7", subscribed))) == [{"version": 1, "delta": {"fan": "on"}}]
    assert list(twins.arrive("pump-7", "cmd/+")) == []


def test_history_is_kept_for_a_while(twins: Twins) -> None:
    for number in range(KEPT + 5):
        want(twins, n=number)
    report(twins, {"n": 1})
    found = twins.list_changes("pump-7")
    assert len(found) == KEPT
    first, second = found[:2]
    assert (first["part"], first["by"], first["version"], first["patch"]) == ("reported", "pump-7", 1, {"n": 1})
    assert (second["part"], second["by"], second["version"]) == ("desired", "ann", KEPT + 5)
    assert twins.list_changes("pump-7", 1) == [first]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1",
        b"[1]",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b"\xff",
        b'{"a": "%s"}' % (b"x" * MOST_BYTES),
        b'{"\\ud800": null, "a": 1}',
        b'{"a": 1, %s}' % b", ".join(b'"k%d": null' % number for number in range(10_000)),
        b'{"a": %s1%s}' % (b"[" * 100, b"]" * 100),
    ],
)
def test_what_is_no_object_is_not_kept(twins: Twins, body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says why, once a minute."""
    assert report(twins, body) == report(twins, body) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "What pump-7 reported of its twin was not taken: " in line and len(line) < 400 and not line.endswith(".'")
    assert twins.get("pump-7").reported.version == 0


def test_others_have_none(twins: Twins) -> None:
    assert report(twins, {"a": 1}, "pump-8") == []
    assert twins.get("pump-8").reported.version == 0


def test_too_much_is_refused(twins: Twins) -> None:
    with pytest.raises(ConfigError, match="are the most"):
        want(twins, text="x" * MOST_BYTES)
    with pytest.raises(ConfigError, match="should be a JSON object"):
        twins.change("pump-7", Change(Part.DESIRED, ["a"]))
    with pytest.raises(ConfigError, match="patch of a twin would have"):
        want(twins, **{f"k{number}": None for number in range(10_000)})
    nested: Any = 1
    for _ in range(MOST_LEVELS):
        nested = {"a": nested}
    want(twins, **nested)
    with pytest.raises(ConfigError, match="more than 64 levels"):
        want(twins, a=nested)


def test_forgotten(twins: Twins) -> None:
    want(twins, fan="on")
    twins.forget("pump-7")
    assert twins.get("pump-7").desired.version == 0
    assert twins.list_changes("pump-7") == []
