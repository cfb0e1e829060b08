"""Tracebacks that come again and again."""

from stack.docker.readiness import leave_out_repeats

TRACE = [
    "Traceback (most recent call last):",
    '  File "main.py", line 1, in <module>',
    "    import no",
    "ImportError: no",
]


def test_the_same_traceback_is_told_once() -> None:
    told = list(leave_out_repeats(["12:00 first", *TRACE, "12:01 second", *TRACE, "12:02 third", *TRACE[:-1], "E: x"]))
    first = ["12:00 first", "(the same traceback as below)"]
    assert told == [*first, "12:01 second", *TRACE, "12:02 third", *TRACE[:-1], "E: x"]


def test_what_is_no_traceback_stays() -> None:
    lines = ["a", "a", " b", "a", "Traceback (most recent call last):"]
    assert list(leave_out_repeats(lines)) == lines
    assert list(leave_out_repeats([])) == []
