"""Archives: what is in them arrives, and nothing leaves the folder."""

import base64
import io
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack.errors import FunctionError
from stack.state.source.archive import unpack

LIMIT = 10_000
Member = tarfile.TarInfo


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> Member:
    info = Member(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def write_tar(path: Path, *members: Member, mode: str = "w:gz", content: bytes = b"x") -> Path:
    with tarfile.open(path, mode) as bundle:  # type: ignore[call-overload]
        for info in members:
            info.size = len(content) if info.isreg() else 0
            bundle.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def write_zip(path: Path, *names: str, links: dict[str, str] | None = None, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in names:
            bundle.writestr(name, b"" if name.endswith("/") else content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            bundle.writestr(info, target)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, beside which is a file that no one may reach."""
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_each_compression(folder: Path, tmp_path: Path, mode: str) -> None:
    members = [member("a", tarfile.DIRTYPE), member("a/main.py"), member("./run.sh", mode=0o755)]
    unpack(write_tar(tmp_path / "no-suffix", *members, mode=mode), folder, LIMIT)
    assert tree(folder) == {"a/main.py": "x", "run.sh": "x"}
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (folder / "a/main.py").stat().st_mode & 0o777 == 0o644


def test_zip_with_a_link(folder: Path, tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "a.zip", "a/", "a/main.py", links={"b/link.py": "../a/main.py"}), folder, LIMIT)
    assert tree(folder) == {"a/main.py": "x", "b/link.py": "x"}
    assert (folder / "b/link.py").is_symlink()


@pytest.mark.parametrize("name", [".", "./", ""])
def test_folder_itself_may_be_an_entry(folder: Path, tmp_path: Path, name: str) -> None:
    """As in what `tar -C folder -czf a.tgz .` writes."""
    unpack(write_tar(tmp_path / "a.tgz", member(name, tarfile.DIRTYPE), member("./main.py")), folder, LIMIT)
    assert tree(folder) == {"main.py": "x"}


@pytest.mark.parametrize("one", [member("."), member(""), member(".", tarfile.SYMTYPE, "main.py")])
def test_only_a_folder_has_no_name(folder: Path, tmp_path: Path, one: Member) -> None:
    with pytest.raises(FunctionError, match=r"the entry '\.?' of the archive stands for its folder, and is none"):
        unpack(write_tar(tmp_path / "a.tgz", member("main.py"), one), folder, LIMIT)


@pytest.mark.parametrize("target", ["gone.py", "gone/../also/gone.py", "../d/gone"])
def test_link_to_nothing_in_the_folder_is_made(folder: Path, tmp_path: Path, target: str) -> None:
    unpack(write_tar(tmp_path / "a.tgz", member("d/main.py"), member("d/l", tarfile.SYMTYPE, target)), folder, LIMIT)
    assert ((folder / "d/l").readlink(), tree(folder)) == (Path(target), {"d/main.py": "x"})


def test_hard_link_is_a_copy(folder: Path, tmp_path: Path) -> None:
    members = [member("main.py"), member("again.py", tarfile.LNKTYPE, "main.py")]
    unpack(write_tar(tmp_path / "a.tgz", *members), folder, LIMIT)
    assert tree(folder) == {"main.py": "x", "again.py": "x"}


def write_rar(path: Path, name: str, content: bytes = b"x") -> Path:
    """Write an archive of RAR 4 in which one file is stored as it is."""

    def head(kind: int, flags: int, rest: bytes) -> bytes:
        block = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(block) & 0xFFFF) + block

    sizes = struct.pack("<IIBII", len(content), len(content), 3, zlib.crc32(content), 0x5A210000)
    entry = sizes + struct.pack("<BBHI", 20, 0x30, len(name), 0o100644) + name.encode()
    parts = head(0x73, 0, bytes(6)), head(0x74, 0x8000, entry) + content, head(0x7B, 0x4000, b"")
    path.write_bytes(b"Rar!\x1a\x07\x00" + b"".join(parts))
    return path


# A tar of main.py, whose content is an x, as the programs zstd and lz4 compress it.
COMPRESSED = {
    "zst": "KLUv/QRo/QEAhAJtYWluLnB5ADA2NDQAMDEAMAAwMDcyMzIAIDAAAHVzdGFyADAwAHgACSDQD/uFx3Pq/Ex7MIAHDAqwnFgcZmXwdA==",
    "lz4": "BCJNGGRAp3AAAACPbWFpbi5weQABAEmSMDAwMDY0NAAwAQAMCABHMDAwMQwA"
    "ABgAjzcyMzIAIDAAAQBQn3VzdGFyADAwAAEA4y94AAEA//////////////////////////////////////////////////8MUAAAAAAAAAAAAOhTcto=",
}
needs_bsdtar = pytest.mark.skipif(not shutil.which("bsdtar"), reason="bsdtar is not installed")


def write_foreign(path: Path, kind: str) -> Path:
    if kind == "rar":
        return write_rar(path, "main.py")
    path.write_bytes(base64.b64decode(COMPRESSED[kind]))
    return path


@needs_bsdtar
@pytest.mark.parametrize("kind", ["zst", "lz4", "rar"])
def test_kinds_that_python_does_not_read(folder: Path, tmp_path: Path, kind: str) -> None:
    unpack(write_foreign(tmp_path / "no-suffix", kind), folder, LIMIT)
    assert tree(folder) == {"main.py": "x"}


@needs_bsdtar
def test_rar_is_as_suspect_as_any(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match="leads out of its folder"):
        unpack(write_rar(tmp_path / "a.rar", "../outside"), folder, LIMIT)
    with pytest.raises(FunctionError, match=r"downloads\.megabytes"):
        unpack(write_rar(tmp_path / "b.rar", "zeros", bytes(LIMIT + 1)), folder, LIMIT)
    with pytest.raises(FunctionError, match="the archive is broken: bsdtar: "):
        cut = write_rar(tmp_path / "c.rar", "main.py")
        cut.write_bytes(cut.read_bytes()[:30])
        unpack(cut, folder, LIMIT)
    assert (tmp_path / "outside").read_text() == "untouched"


def test_who_reads_other_kinds_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FunctionError, match=r"bsdtar, which reads rar, is missing\. Type `sudo apt-get install "):
        unpack(write_rar(tmp_path / "a.rar", "main.py"), folder, LIMIT)


EVIL_TARS: dict[str, list[Member]] = {
    "parent": [member("../outside")],
    "parent within": [member("a/../../outside")],
    "absolute": [member("/outside")],
    "absolute link": [member("link", tarfile.SYMTYPE, "/etc/passwd")],
    "link to the parent": [member("link", tarfile.SYMTYPE, "../outside")],
    "link to nothing": [member("link", tarfile.SYMTYPE, "../gone")],
    "link to nothing by way of nothing": [member("link", tarfile.SYMTYPE, "gone/../../gone")],
    "link to nothing by way of a link": [
        member("up", tarfile.SYMTYPE, "gone/.."),
        member("link", tarfile.SYMTYPE, "up/../gone"),
    ],
    "chain of links": [
        member("d", tarfile.DIRTYPE),
        member("d/up", tarfile.SYMTYPE, ".."),
        member("out", tarfile.SYMTYPE, "d/up/../outside"),
    ],
    "file through a link": [member("link", tarfile.SYMTYPE, ".."), member("link/outside")],
    "link through a link": [
        member("d", tarfile.DIRTYPE),
        member("l", tarfile.SYMTYPE, "d"),
        member("l/../../outside", tarfile.SYMTYPE, "d"),
    ],
    "loop": [member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "a")],
    "hard link": [member("again", tarfile.LNKTYPE, "../outside")],
    "hard link, absolute": [member("again", tarfile.LNKTYPE, "/etc/passwd")],
    "device": [member("null", tarfile.CHRTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("name", EVIL_TARS)
def test_tar_that_leaves_its_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    members = [member(one.name, one.type, one.linkname) for one in EVIL_TARS[name]]
    with pytest.raises(FunctionError, match=r"leads|is no file|cannot be unpacked"):
        unpack(write_tar(tmp_path / "a.tgz", *members), folder, LIMIT)
    assert (tmp_path / "outside").read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "folder", "outside"]


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_zip_that_leaves_its_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(FunctionError, match="leads out of its folder"):
        unpack(write_zip(tmp_path / "a.zip", name), folder, LIMIT)
    assert (tmp_path / "outside").read_text() == "untouched"


THROUGH_A_LINK = ("a/planted", "a/dir/deep/x")


@pytest.mark.parametrize("name", THROUGH_A_LINK)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_made_through_a_link_that_leaves(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "victim").mkdir()
    links = {"a": "../victim", name: "b"}
    if kind == "tar":
        members = (member(one, tarfile.SYMTYPE, target) for one, target in links.items())
        path = write_tar(tmp_path / "a.tar", *members, mode="w")
    else:
        path = write_zip(tmp_path / "a.zip", links=links)
    with pytest.raises(FunctionError, match="below the link 'a', which leads out of its folder"):
        unpack(path, folder, LIMIT)
    assert list((tmp_path / "victim").iterdir()) == []


def test_link_below_a_link_that_stays_is_made(folder: Path, tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "a.zip", "d/main.py", links={"l": "d", "l/again.py": "main.py"}), folder, LIMIT)
    assert tree(folder)["d/again.py"] == "x"


def test_zip_whose_link_is_long_is_refused_unread(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "a.zip", links={"link": "x" * 5000})
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("the target was read"))
    with pytest.raises(FunctionError, match="the link 'link' in the archive has a target longer than any path"):
        unpack(path, folder, LIMIT)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside"])
def test_zip_whose_link_leaves_its_folder_is_refused(folder: Path, tmp_path: Path, target: str) -> None:
    with pytest.raises(FunctionError, match="archive leads to"):
        unpack(write_zip(tmp_path / "a.zip", "a/b", links={"link": target}), folder, LIMIT)


@pytest.mark.parametrize(
    "write", [write_zip, lambda path, name, content: write_tar(path, member(name), content=content)]
)
def test_bomb_is_refused(folder: Path, tmp_path: Path, write: Callable[..., Path]) -> None:
    bomb = write(tmp_path / "bomb", "zeros", content=bytes(1_000_000))
    assert bomb.stat().st_size < LIMIT
    with pytest.raises(FunctionError, match=r"downloads\.megabytes"):
        unpack(bomb, folder, LIMIT)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(noise=st.binary(max_size=200), cut=st.integers(0, 300), kind=st.sampled_from(["tar", "zip"]))
def test_whatever_the_bytes_nothing_but_a_refusal(tmp_path: Path, noise: bytes, cut: int, kind: str) -> None:
    """An archive that is cut off, and has something else behind, is unpacked or refused, without a traceback."""
    folder = tmp_path / "unpacked"
    folder.mkdir(exist_ok=True)
    path = tmp_path / "broken"
    write_tar(path, member("a")) if kind == "tar" else write_zip(path, "a")
    path.write_bytes(path.read_bytes()[:cut] + noise)
    with suppress(FunctionError):
        unpack(path, folder, LIMIT)
    assert set(tree(folder)) <= {"a"}
