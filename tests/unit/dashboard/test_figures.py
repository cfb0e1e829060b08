"""Figures in words."""

import pytest

from stack.dashboard.figures import (
    draw_sparkline,
    dump,
    excerpt,
    list_views,
    present,
    write_bytes,
    write_count,
    write_milliseconds,
    write_rate,
)

_NOTHING = "\u2013"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, _NOTHING), (0, "0/s"), (0.04, "<0.1/s"), (2.25, "2.2/s"), (12.6, "13/s"), (1234, "1\u2009234/s")],
)
def test_rates(value: float | None, text: str) -> None:
    assert write_rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, _NOTHING), (12, "12 B"), (1500, "1.5 kB"), (26_400_000, "26 MB"), (3e12, "3000 GB")]
)
def test_bytes(value: float | None, text: str) -> None:
    assert write_bytes(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, _NOTHING), (3.14, "3.1 ms"), (45.2, "45 ms"), (5030, "5.0 s")])
def test_milliseconds(value: float | None, text: str) -> None:
    assert write_milliseconds(value) == text


def test_counts() -> None:
    assert [write_count(value) for value in (None, 7, 1234567)] == [_NOTHING, "7", "1\u2009234\u2009567"]


def test_sparkline() -> None:
    assert draw_sparkline([1.0]) == ""
    assert 'd="M0.0 22.0L50.0 2.0L100.0 12.0"' in draw_sparkline([0, 2, 1])
    assert 'd="M0.0 12.0L100.0 12.0"' in draw_sparkline([3, 3])
    gaps = draw_sparkline([None, 0, None, 1, None])
    assert 'd="M25.0 22.0L75.0 2.0"' in gaps and "L75 24L25 24Z" in gaps
    assert draw_sparkline([None, 1.0]) == ""


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'{"a":[1,"\xc3\xa9"]}', "json", '{\n  "a": [\n    1,\n    "é"\n  ]\n}'),
        (b"21.5", "text", "21.5"),
        (b"{no json", "text", "{no json"),
        (b"", "text", ""),
        (b"A\xff", "binary", f"00000000  {'41 ff':<47}  A."),
    ],
)
def test_bodies_become_text(body: bytes, kind: str, text: str) -> None:
    content = present(body)
    assert (content.kind, content.text, content.size, content.is_cut) == (kind, text, len(body), False)


def test_long_bodies_are_cut() -> None:
    assert present(b"x" * 200_000).is_cut
    assert present(b"\xff" * 5000).is_cut


def test_an_excerpt_is_one_line() -> None:
    assert excerpt(b"a\n  b", 10) == "a b"
    assert excerpt(b"abcdef", 4) == "abc…"
    assert excerpt(b"\xff\x00", 10) == "ff 00"
    assert excerpt(b'{"a": 1}', 10) == '{"a": 1}'


def test_rows_have_sixteen_bytes() -> None:
    assert [line[:8] for line in dump(bytes(40)).splitlines()] == ["00000000", "00000010", "00000020"]


def test_deep_json_is_not_blown_up_by_its_indents() -> None:
    depth = 900
    body = ("[" * depth + ",".join(["1"] * 40_000) + "]" * depth).encode()
    content = present(body)
    assert (content.kind, content.is_cut, len(content.text)) == ("text", False, len(body))


@pytest.mark.parametrize("body", ["é" * 10_000_000, " " * 10_000_000, "€" * 33])
def test_an_excerpt_of_much_is_short(body: str) -> None:
    text = excerpt(body.encode(), 32)
    assert len(text) <= 32
    assert text.endswith("…")
    assert text[:-1] == body[: len(text) - 1].strip()


def test_half_of_a_surrogate_pair_is_shown_as_it_was_written() -> None:
    body = b'{"a": "\\ud83d"}'
    for view in list_views(body):
        str(view).encode()
