"""Flags of `docker build`."""

import pytest

from stack.config.build import find_host_flags, split_flags


@pytest.mark.parametrize(
    ("flags", "pairs"),
    [
        ([], ()),
        (["--network=host", "--force-rm"], (("--network", "host"),)),
        (["--label", "a=b"], (("--label", "a=b"),)),
        (["--no-cache", "--network", "host"], (("--no-cache", ""), ("--network", "host"))),
        (["--label 'a=b c'", "--pull"], (("--label", "a=b c"), ("--pull", ""))),
    ],
)
def test_flags_and_their_values(flags: list[str], pairs: tuple[tuple[str, str], ...]) -> None:
    assert split_flags(flags) == pairs


@pytest.mark.parametrize(
    "flag",
    [
        *("--file=/etc/passwd", "-t x", "--output=.", "--secret id=a", "--load", "host", "--tag", "--", "."),
        *("--ssh=default=/root/.ssh/id_rsa", "--cgroup-parent=/", "--allow=security.insecure", "--build-context=a=/"),
        *("--label a=b /etc", "--no-cache /etc", "--security-opt=x", "--privileged", "--builder=other", "--cache-to=x"),
    ],
)
def test_what_is_tidegate_s_own_is_refused(flag: str) -> None:
    with pytest.raises(ValueError, match=r"should be a flag|is not permitted"):
        split_flags([flag])


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("--cache-from=type=local,src=/etc", "should be the name of an image"),
        ("--build-arg BUILDKIT_SYNTAX=evil/frontend", "for BuildKit itself"),
        ("--network --pull", "needs a value"),
    ],
)
def test_values_that_lend_something_of_this_machine_are_refused(flag: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        split_flags([flag])


def test_flags_that_use_this_machine_s_network() -> None:
    flags = ["--network=none", "--network host", "--add-host a:127.0.0.1", "--pull", "--network=default"]
    assert find_host_flags(flags) == ("--network=host", "--add-host=a:127.0.0.1")


def test_open_quotation_is_refused() -> None:
    with pytest.raises(ValueError, match="No closing quotation"):
        split_flags(["--label 'a"])
