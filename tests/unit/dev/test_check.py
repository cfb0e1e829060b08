"""Which tests a developer's options choose, and what pytest is told."""

import sys
from collections.abc import Mapping, Sequence

import pytest

from stack.dev import check, tasks
from stack.dev.check import Check, Selection, run_checks, run_tests
from stack.errors import StackError

ALL = ("tests/unit", "tests/render", "tests/process", "tests/checks", "tests/docker", "tests/browser")


@pytest.mark.parametrize(
    ("selection", "paths"),
    [
        (Selection(), ALL),
        (
            Selection(unit=True, docker=True),
            ALL,
        ),
        (Selection(unit=True), ("tests/unit", "tests/render")),
        (Selection(docker=True), ("tests/docker", "tests/browser")),
        (
            Selection(arguments=["-k", "name"]),
            ALL,
        ),
        (Selection(arguments=["tests/unit/plan"]), ()),
        (Selection(arguments=["tests/unit/test_task_list.py::test_every_task_is_in_a_group", "-v"]), ()),
    ],
)
def test_paths_are_those_of_the_options_unless_the_arguments_name_some(
    selection: Selection, paths: tuple[str, ...]
) -> None:
    assert selection.find_paths() == paths


def test_a_machine_without_docker_fails_where_tests_need_it() -> None:
    assert "--no-docker-skip" in Selection().build_options()
    assert "--no-docker-skip" in Selection(docker=True).build_options()
    assert "--no-docker-skip" not in Selection(unit=True).build_options()


def test_arguments_and_the_last_failures_are_passed_on() -> None:
    options = Selection(last_failed=True, arguments=["-k", "one and two"]).build_options()
    assert options[-3:] == ["--last-failed", "-k", "one and two"]


def test_slow_tests_are_asked_for() -> None:
    assert "--slow" in Selection(slow=True).build_options()
    assert "--slow" not in Selection().build_options()


def test_no_test_is_run_again_because_it_failed() -> None:
    assert not [option for option in Selection().build_options() if "rerun" in option]


def test_arguments_behind_the_dashes_keep_their_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["invoke", "dev.test", "--unit", "--", "-k", "one and two"])
    assert tasks._find_remainder() == ["-k", "one and two"]
    monkeypatch.setattr(sys, "argv", ["invoke", "dev.test", "--unit"])
    assert tasks._find_remainder() == []


def test_tools_come_before_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Sequence[object]] = []

    def run(*command: str, environment: Mapping[str, str]) -> int:
        done.append(command)
        return 5

    monkeypatch.setattr(check, "install_test_tools", lambda *, browser, **_: done.append(("tools", browser)))
    monkeypatch.setattr(check, "_run", run)
    assert run_tests(Selection(unit=True)) == 5
    assert done[0] == ("tools", False)
    assert done[1][-2:] == ("tests/unit", "tests/render")


def test_checks_all_run_and_those_that_fail_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (sys.executable, "-c", ""), (sys.executable, "-c", "exit(1)")
    monkeypatch.setattr(check, "install_test_tools", lambda **_: None)
    monkeypatch.setattr(check, "CHECKS", [Check("style", bad, fix=good), Check("types", good), Check("spelling", bad)])
    with pytest.raises(StackError, match="To be mended: style, spelling; the lines above say what"):
        run_checks()
    with pytest.raises(StackError, match="To be mended: spelling;"):
        run_checks(fix=True)
