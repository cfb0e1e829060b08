"""What the text of a file alone tells of its mistakes."""

import pytest

from stack.plan.function_check import check_text


def test_a_configuration_is_checked_with_its_lines() -> None:
    (found,) = check_text("function.yaml", "spec:\n  handler: main:handler\n  runtime: golang\n")
    assert (found.path, found.line) == ("spec.runtime", 3)
    assert "'golang' is not supported" in found.text
    assert check_text("function.yaml", "spec:\n  handler: main:handler\n") == ()
    assert check_text("function.yaml", "") == ()


def test_a_source_is_read_and_not_run() -> None:
    (found,) = check_text("main.py", "def handler(context, event):\n    return (\n")
    assert (found.line, found.column) == (2, 11)
    assert check_text("main.py", "raise SystemExit\n") == ()


@pytest.mark.parametrize("text", ["\0", "(" * 10_000, "x = " + "-" * 100_000 + "1"])
def test_what_python_cannot_read_is_told(text: str) -> None:
    assert check_text("main.py", text)


def test_other_files_are_not_looked_at() -> None:
    assert check_text("notes.txt", "def (") == ()
    assert check_text("lib/function.yaml", "spec: [") == ()
