"""A backup's file: written as a stream, and refused if it is cut off, changed, or another's."""

import hashlib
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stack.errors import HostError, StackError
from stack.plan.backup import BROKER, HEADER, KEY, MANIFEST, SEALED, WORKSPACE, Header, Manifest, Sealed
from stack.run.backup.archive import (
    check_beginning,
    decrypt,
    encrypt,
    is_safe,
    is_safe_link,
    lock_key,
    new_key,
    open_key,
    read_backup,
    reading,
    writing,
)
from stack.run.backup.restore import RestoreRequest, restore_and_print, unpack

WORD = "correct horse"
BACKUP_KEY = new_key()
LOCKED_KEY = lock_key(BACKUP_KEY, WORD)
HEAD = Header(project="tidegate", made=datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(scope="module")
def sealed() -> bytes:
    """The digest of the manifest of `write_backup`, and a secret."""
    sealed = Sealed(manifest=_write_digest(), secrets={"a.b": "eA=="})
    return encrypt(BACKUP_KEY, sealed.model_dump_json().encode())


def write_backup(path: Path, source: Path, sealed: bytes, *, extra: dict[str, bytes] | None = None) -> None:
    with path.open("wb") as file, writing(file) as archive:
        archive.add(HEADER, HEAD.model_dump_json().encode())
        archive.add(KEY, LOCKED_KEY)
        archive.add_file(f"{WORKSPACE}functions/a/main.py", source / "main.py")
        archive.add_file(f"{WORKSPACE}functions/a/link", source / "link")
        archive.add_chunks(BROKER, [b"one", b"two"])
        manifest = Manifest(header=HEAD, members=dict(archive.digests)).model_dump_json().encode()
        for name, content in (extra or {}).items():
            archive.add(name, content)
        archive.add(MANIFEST, manifest)
        archive.add(SEALED, sealed)


def _write_digest() -> str:
    parts = {
        HEADER: HEAD.model_dump_json().encode(),
        f"{WORKSPACE}functions/a/main.py": b"print()\n",
        f"{BROKER}000000": b"one",
        f"{BROKER}000001": b"two",
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    digests[KEY] = hashlib.sha256(LOCKED_KEY).hexdigest()
    order = [HEADER, KEY, f"{WORKSPACE}functions/a/main.py", f"{WORKSPACE}functions/a/link"]
    digests[f"{WORKSPACE}functions/a/link"] = "-> main.py"
    members = {name: digests[name] for name in (*order, f"{BROKER}000000", f"{BROKER}000001")}
    return hashlib.sha256(Manifest(header=HEAD, members=members).model_dump_json().encode()).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "main.py").write_text("print()\n")
    (folder / "main.py").chmod(0o755)
    (folder / "link").symlink_to("main.py")
    return folder


def test_what_was_written_is_read(tmp_path: Path, source: Path, sealed: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    write_backup(path, source, sealed)
    backup = read_backup(path, WORD)
    assert backup.manifest.header == HEAD
    assert backup.sealed.secrets == {"a.b": "eA=="}
    unpack(backup, tmp_path / "out")
    function = tmp_path / "out" / WORKSPACE / "functions/a"
    assert (function / "main.py").read_text() == "print()\n"
    assert (function / "main.py").stat().st_mode & 0o777 == 0o755
    assert (function / "link").readlink() == Path("main.py")


def test_wrong_passphrase_is_told(tmp_path: Path, source: Path, sealed: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    write_backup(path, source, sealed)
    with pytest.raises(StackError, match=r"The passphrase is not that of this backup\. Nothing was changed"):
        read_backup(path, "another word")


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_no_one_is_asked_for_the_passphrase_of_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr("stack.run.backup.restore.load_passphrase", lambda _: pytest.fail("it was asked for"))
    path = tmp_path / "b.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HostError, match=r"b\.tar"):
        restore_and_print(str(path), RestoreRequest(), passphrase_file="", start=False)


def test_archive_of_something_else_asks_for_no_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with path.open("wb") as file, writing(file) as archive:
        archive.add("workspace/a", b"x")
    with pytest.raises(HostError, match="is no backup of Tidegate's"):
        check_beginning(path)


def test_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path, source: Path, sealed: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    write_backup(path, source, sealed)
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:size])
        with pytest.raises(HostError, match=r"damaged or cut off|is cut off|no backup"):
            read_backup(path, WORD)


def test_changed_content_is_refused(tmp_path: Path, source: Path, sealed: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    (source / "main.py").write_text("evil()\n")
    write_backup(path, source, sealed)
    with pytest.raises(HostError, match="is not as it was written"):
        read_backup(path, WORD)


def test_member_that_was_added_is_refused(tmp_path: Path, source: Path, sealed: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    write_backup(path, source, sealed, extra={f"{WORKSPACE}functions/a/more.py": b""})
    with pytest.raises(HostError, match="is not as it was written"):
        read_backup(path, WORD)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4"])
def test_other_files_are_no_backups(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(content)
    with pytest.raises(HostError, match="no backup"):
        read_backup(path, WORD)


def test_archive_of_something_else_is_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(f"{WORKSPACE}a")
        tar.addfile(info, io.BytesIO())
    with pytest.raises(HostError, match="is no backup of Tidegate's, or one of a later release"):
        read_backup(path, WORD)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a", f"{WORKSPACE}../../a", "other/a", f"{WORKSPACE}/../a", "", "."]
)
def test_paths_that_lead_out_are_no_part_of_a_backup(tmp_path: Path, name: str) -> None:
    assert not is_safe(name)
    path = tmp_path / "b.tar.gz"
    with path.open("wb") as file, writing(file) as archive:
        archive.add(HEADER, HEAD.model_dump_json().encode())
        archive.add(name or "x", b"")
    with pytest.raises(HostError, match="is no part of a backup"):
        read_backup(path, WORD)


@pytest.mark.parametrize(
    ("target", "is_fine"), [("main.py", True), ("../b/x", True), ("../../../x", False), ("/etc", False), ("..", True)]
)
def test_links_stay_within_their_folder(target: str, is_fine: bool) -> None:
    assert is_safe_link(f"{WORKSPACE}functions/a/link", target) == is_fine


def test_device_is_no_part_of_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(f"{WORKSPACE}functions/a")
        info.type = tarfile.CHRTYPE
        tar.addfile(info)
    with pytest.raises(HostError, match="is no part of a backup"), reading(path):
        read_backup(path, WORD)


def test_data_is_opened_by_its_key_only() -> None:
    key, content = new_key(), b"x" * 100_000
    locked = encrypt(key, content)
    assert content not in locked
    assert decrypt(key, locked) == content
    changed = locked[:-9] + bytes([locked[-9] ^ 1]) + locked[-8:]
    for wrong_key, wrong_content in ((new_key(), locked), (key, changed), (key, b"")):
        with pytest.raises(StackError, match="is not as it was written"):
            decrypt(wrong_key, wrong_content)


@pytest.mark.parametrize("content", [b"", b"{}", b"text", LOCKED_KEY.replace(b"131072", b"99999999")])
def test_key_that_is_none_or_costs_too_much_is_refused(content: bytes) -> None:
    with pytest.raises(StackError, match="is not that of this backup"):
        open_key(content, WORD)
