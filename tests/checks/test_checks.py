"""What `dev.lint` checks holds: style, types, spelling, shell scripts."""

import pytest

from stack.dev.check import CHECKS, Check


# Types take minutes where nothing is cached and the processors are busy.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_nothing_is_to_be_mended(check: Check) -> None:
    assert check.run(), "the lines that pytest captured say what; `invoke lint --fix` mends some"
