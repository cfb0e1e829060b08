"""What differs between two versions of files."""

from stack.plan.diff import Line, compare_files

_OLD = "".join(f"line {number}\n" for number in range(1, 21)).encode()


def test_what_is_the_same_is_left_out() -> None:
    assert compare_files({"main.py": _OLD}, {"main.py": _OLD}) == ()


def test_a_change_is_shown_with_the_lines_around_it() -> None:
    (found,) = compare_files({"main.py": _OLD}, {"main.py": _OLD.replace(b"line 10\n", b"line ten\n")})
    assert (found.path, found.kind, found.added, found.removed) == ("main.py", "changed", 1, 1)
    assert found.lines == (
        Line("skipped", "line 7"),
        *(Line("same", f"line {number}") for number in (7, 8, 9)),
        Line("removed", "line 10"),
        Line("added", "line ten"),
        *(Line("same", f"line {number}") for number in (11, 12, 13)),
    )


def test_two_changes_far_apart_have_their_own_places() -> None:
    new = _OLD.replace(b"line 2\n", b"").replace(b"line 18\n", b"x\n")
    (found,) = compare_files({"main.py": _OLD}, {"main.py": new})
    assert [line.text for line in found.lines if line.kind == "skipped"] == ["line 15, now 14"]


def test_files_come_and_go() -> None:
    found = compare_files({"old.py": b"a\nb\n"}, {"new.py": b"c\n"})
    assert [(one.path, one.kind, one.added, one.removed) for one in found] == [
        ("new.py", "added", 1, 0),
        ("old.py", "removed", 0, 2),
    ]


def test_what_is_no_text_has_no_lines() -> None:
    (found,) = compare_files({"model.bin": b"\0\1"}, {"model.bin": b"\xff\xfe"})
    assert (found.kind, found.lines) == ("changed", ())
