"""Flags of `docker build`."""

import pytest

from stack.config.flag import split_flags


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ()),
        (["--network=host", "--force-rm"], ("--network=host",)),
        (["--label", "a=b c"], ("--label", "a=b", "c")),
        (["--label 'a=b c'", "--pull"], ("--label", "a=b c", "--pull")),
    ],
)
def test_words(flags: list[str], words: tuple[str, ...]) -> None:
    assert split_flags(flags) == words


@pytest.mark.parametrize(
    "flag", ["--file=/etc/passwd", "-t x", "--output=.", "--secret id=a", "--load", "host", "--tag"]
)
def test_what_is_tidegate_s_own_is_refused(flag: str) -> None:
    with pytest.raises(ValueError, match=r"should be a flag|is not permitted"):
        split_flags([flag])


def test_open_quotation_is_refused() -> None:
    with pytest.raises(ValueError, match="No closing quotation"):
        split_flags(["--label 'a"])
