"""What containers have said, as a file."""

from stack.live.log import read_line, write_transcript

_LINE = "2026-01-31T10:11:12.345678901Z hello"


def test_lines_have_their_time() -> None:
    assert write_transcript([read_line("one", _LINE)]) == "2026-01-31T10:11:12.345+00:00 hello\n"


def test_containers_are_named_where_there_are_several() -> None:
    text = write_transcript([read_line("one", _LINE), read_line("two", _LINE)])
    assert [line.split()[1:] for line in text.splitlines()] == [["one", "hello"], ["two", "hello"]]
