"""How the last events went."""

from stack.processor.metrics import Outcomes, RecentOutcomes


def test_the_last_fifty_events_count() -> None:
    recent = RecentOutcomes()
    for number in range(1, 101):
        told = recent.note(number, min(number, 40))
    assert told == Outcomes(50, 0)
    assert recent.note(100, 40) == Outcomes(50, 0)


def test_few_events_all_count_and_many_at_once_too() -> None:
    recent = RecentOutcomes()
    assert recent.note(0, 0) == Outcomes(0, 0)
    assert recent.note(5, 2) == Outcomes(5, 2)
    assert recent.note(1000, 900) == Outcomes(995, 898)
    assert recent.note(1001, 900) == Outcomes(996, 898)
    assert recent.note(1055, 900) == Outcomes(54, 0)
