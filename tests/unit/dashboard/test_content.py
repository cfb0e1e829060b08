"""Bodies as the pages show them."""

import pytest

from stack.dashboard.content import dump, excerpt, present


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
