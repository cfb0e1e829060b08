"""What `invoke watch` is asked to show."""

import pytest

from stack.errors import ConfigError, StackError
from stack.run.message import WatchRequest, watch_and_print


@pytest.mark.parametrize("pattern", ["a/#/b", "a/b+/c", "a#", ""])
def test_filter_that_no_topic_can_match_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="watch: topic"):
        watch_and_print(WatchRequest(pattern), as_json=False)


def test_count_below_none_is_refused() -> None:
    with pytest.raises(StackError, match=r"--count -1: should be 1 or more"):
        watch_and_print(WatchRequest("a", count=-1), as_json=False)
