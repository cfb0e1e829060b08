"""What `invoke logger` refuses, and what it reads of its service."""

import json

import pytest

from stack.errors import StackError
from stack.run.feedback import LoggerRequest, parse_lines, run_logger


@pytest.mark.parametrize(
    ("request_", "service", "stop", "message"),
    [
        (LoggerRequest(), False, True, "`invoke logger --service --stop`"),
        (LoggerRequest(count=-1), False, False, "--count -1: should be 1 or more, or 0 for all"),
    ],
)
def test_options_that_make_no_sense(request_: LoggerRequest, service: bool, stop: bool, message: str) -> None:
    with pytest.raises(StackError, match=message):
        run_logger(request_, service=service, stop=stop)


def test_line_is_one_whatever_is_in_it() -> None:
    messages = ["a\u2028b", "c\x85d\u2029", "e\nf"]
    lines = [json.dumps({"time": "t", "message": one}, ensure_ascii=False) for one in messages]
    text = "\n".join([lines[0], '{"time": "t", "mess', "5", '"x"', "{}", *lines[1:], ""])
    assert [one.message for one in parse_lines(text)] == messages
