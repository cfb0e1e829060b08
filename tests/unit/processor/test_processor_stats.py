"""What the control plane reads of a processor, which may be of another release."""

from dataclasses import asdict

from stack.processor.processor_stats import ProcessorStats


def test_what_a_processor_tells_is_read_again() -> None:
    stats = ProcessorStats(reason="it starts", events=7, busy_seconds=1.5)
    assert ProcessorStats.read(asdict(stats)) == stats


def test_a_processor_of_another_release_may_tell_more_or_less() -> None:
    assert ProcessorStats.read({"events": 3, "colour": "red"}) == ProcessorStats(events=3)
