"""Rates of counters that are only seen now and then."""

from stack.live.metrics import RateMeter


def drive(*looks: tuple[float, int], otherwise: float = 9.0) -> float:
    """Return what the last of several looks at one counter tells."""
    meter = RateMeter()
    return [meter.measure("a", count, now, otherwise=otherwise) for now, count in looks][-1]


def test_the_first_look_believes_the_owner() -> None:
    assert drive((0, 50)) == 9.0
    assert drive((0, 50), (2, 50)) == 9.0


def test_steps_tell_the_rate_between_them() -> None:
    looks = [(float(now), now // 5 * 10) for now in range(0, 31, 2)]
    assert 1.6 < drive(*looks) < 2.4


def test_a_counter_that_stands_has_no_rate() -> None:
    assert drive((0, 10), (5, 20), (14, 20)) == 2.0
    assert drive((0, 10), (5, 20), (17, 20)) == 0.0


def test_a_counter_that_began_again_is_no_negative_rate() -> None:
    assert drive((0, 100), (5, 200), (10, 3)) == 9.0
    assert drive((0, 100), (5, 200), (10, 3), (15, 8)) == 1.0


def test_what_was_long_ago_does_not_count() -> None:
    assert drive((0, 0), (1000, 10), (1005, 20)) == 2.0


def test_counters_that_are_gone_are_forgotten() -> None:
    meter = RateMeter()
    meter.measure("a", 1, 0.0, otherwise=0.0)
    meter.measure("b", 1, 90.0, otherwise=0.0)
    meter.forget(100.0)
    assert set(meter._counters) == {"b"}
