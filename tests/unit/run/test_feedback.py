"""What `invoke logger` refuses."""

import pytest

from stack.errors import StackError
from stack.run.feedback import LoggerRequest, run_logger


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
