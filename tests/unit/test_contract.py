"""What the processor and the control plane agree on: names of queues, topics, durations and proofs."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stack.contract import (
    is_proof,
    name_lock,
    name_queue,
    name_retry_queue,
    parse_duration,
    prove,
    to_key,
    to_topic,
)

KEY = bytes(range(32))


def test_queues_have_names() -> None:
    assert name_queue("nuclio", "thermo") == "nuclio-nuclio-thermo"
    assert name_queue("nuclio", "thermo", "t") == "nuclio-nuclio-thermo-t"
    assert name_lock("nuclio", "thermo", trigger="t") == "nuclio-nuclio-thermo-t.lock"
    assert name_retry_queue("iot/logs", 1.5) == "iot/logs.retry.1500ms"


@pytest.mark.parametrize(
    ("topic", "key"),
    [
        ("/a", ".a"),
        ("+/#", "*.#"),
        ("a//b", "a..b"),
        ("iot/sensors/temperature", "iot.sensors.temperature"),
        ("#", "#"),
        ("a/#", "a.#"),
    ],
)
def test_a_topic_has_a_key(topic: str, key: str) -> None:
    assert to_key(topic) == key
    assert to_topic(key) == topic


def test_a_dot_of_a_topic_is_a_slash_from_then_on() -> None:
    assert to_key("a/+/b.c") == "a.*.b.c"
    assert to_topic("a.*.b.c/d") == "a/+/b/c/d"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1.5m", 90),
        (".5s", 0.5),
        ("1m0.5s", 60.5),
        ("7µs", 7e-6),
        ("0", 0),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "10 s", "1d", "10s!", "ten", "1e3s", "5s5", "٣s"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="should be a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize("text", [f"{'9' * 400}h", "99999999h", "2562047h1s"])
def test_too_long_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match=f"should be a duration of at most 2562047h, not '{text[:40]}"):
        parse_duration(text)


def test_longest_duration() -> None:
    assert parse_duration("2562047h") == 2562047 * 3600


@given(
    some.lists(some.tuples(some.integers(0, 10**5), some.sampled_from(["h", "m", "s", "ms"])), min_size=1, max_size=20)
)
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    factors = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    total = sum(number * factors[unit] for number, unit in parts)
    assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(total)


def test_a_proof_ends_and_is_one_functions_own() -> None:
    now = 1_700_000_000.0
    proof = prove(KEY, now)
    assert is_proof(proof, KEY, now=now + 299) and is_proof(proof, KEY, now=now - 200)
    assert not is_proof(proof, KEY, now=now + 302)
    assert not is_proof(proof, bytes(32), now=now)
    assert not is_proof(prove(b"", now), b"", now=now)
    for wrong in ("", ".", "x.y", f"{int(now)}.", f"{int(now)}.ü\ud800", "9" * 5000 + ".a", proof + "0", f"+{proof}"):
        assert not is_proof(wrong, KEY, now=now)
