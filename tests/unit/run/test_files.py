"""The files of a function, as an editor elsewhere changes them."""

from pathlib import Path

import pytest

from stack.errors import ConflictError, FunctionError
from stack.run.files import (
    digest_content,
    list_function_files,
    read_function_file,
    remove_function_file,
    rename_function_file,
    set_disabled,
    write_function_file,
)
from stack.state.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "functions" / "echo"
    (folder / "lib").mkdir(parents=True)
    (folder / "main.py").write_text("def handler(context, event):\n    return event.body\n")
    (folder / "lib" / "units.py").write_text("K = 273.15\n")
    (folder / "model.bin").write_bytes(b"\0\1\2")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "main.pyc").write_bytes(b"")
    return Workspace(tmp_path)


def test_files_are_listed_with_what_an_editor_can_open(workspace: Workspace) -> None:
    listed = {one.path: one.is_text for one in list_function_files(workspace, "echo")}
    assert listed == {"main.py": True, "model.bin": False, "lib/units.py": True}
    assert list(listed)[-1] == "lib/units.py"


def test_what_is_no_text_is_not_opened(workspace: Workspace) -> None:
    with pytest.raises(FunctionError, match="is no text"):
        read_function_file(workspace, "echo", "model.bin")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../other/main.py",
        "lib/../../x",
        "lib//x",
        ".",
        "a\\b",
        "a\nb",
        "a\0b",
        "x" * 256,
        ".git/config",
    ],
)
def test_a_path_stays_within_the_folder(workspace: Workspace, path: str) -> None:
    with pytest.raises(FunctionError):
        write_function_file(workspace, "echo", path, b"x")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [("a/.git/config", r"\.git"), ("a/b.pyc", r"what ends in \.pyc"), (".venv/a", r"\.venv")],
)
def test_what_never_goes_into_an_image_is_named(workspace: Workspace, path: str, ignored: str) -> None:
    with pytest.raises(FunctionError, match=f"would not go into the image: {ignored} never does. Choose another name"):
        write_function_file(workspace, "echo", path, b"x")


@pytest.mark.parametrize("name", ["", ".", "..", ".projects", "echo/lib", "other", "x" * 300])
def test_only_functions_have_files(workspace: Workspace, name: str) -> None:
    with pytest.raises(FunctionError, match="no folder"):
        write_function_file(workspace, name, "main.py", b"x")


def test_a_link_leads_nowhere(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "functions" / "echo"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("s3cret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "key").symlink_to(tmp_path / "secret" / "key")
    for path in ("out/key", "key"):
        with pytest.raises(FunctionError, match="symbolic link"):
            read_function_file(workspace, "echo", path)
        with pytest.raises(FunctionError, match="symbolic link"):
            write_function_file(workspace, "echo", path, b"mine")
    assert (tmp_path / "secret" / "key").read_text() == "s3cret"


def test_what_somebody_else_wrote_meanwhile_is_not_lost(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "functions" / "echo" / "main.py"
    opened = read_function_file(workspace, "echo", "main.py")
    path.write_text("theirs")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        write_function_file(workspace, "echo", "main.py", b"mine", known=opened.digest)
    assert path.read_text() == "theirs"
    path.unlink()
    with pytest.raises(ConflictError, match="was removed"):
        write_function_file(workspace, "echo", "main.py", b"mine", known=opened.digest)


def test_a_save_returns_what_the_next_one_needs(workspace: Workspace) -> None:
    opened = read_function_file(workspace, "echo", "main.py")
    digest = write_function_file(workspace, "echo", "main.py", b"one", known=opened.digest)
    assert digest == digest_content(b"one")
    write_function_file(workspace, "echo", "main.py", b"two", known=digest)
    assert read_function_file(workspace, "echo", "main.py").text == "two"


def test_a_new_file_writes_over_nothing(workspace: Workspace) -> None:
    write_function_file(workspace, "echo", "data/limits.json", b"{}", known="")
    with pytest.raises(ConflictError, match="there already"):
        write_function_file(workspace, "echo", "main.py", b"", known="")
    with pytest.raises(FunctionError, match="in its way"):
        write_function_file(workspace, "echo", "main.py/x.py", b"")
    with pytest.raises(FunctionError, match="in its way"):
        write_function_file(workspace, "echo", "lib", b"")


def test_a_program_stays_one(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "functions" / "echo" / "main.py"
    path.chmod(0o755)
    write_function_file(workspace, "echo", "main.py", b"x")
    assert path.stat().st_mode & 0o777 == 0o755


def test_files_are_renamed_and_removed_with_folders_that_are_empty_then(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "functions" / "echo"
    rename_function_file(workspace, "echo", "lib/units.py", "units.py")
    assert not (folder / "lib").exists()
    with pytest.raises(ConflictError):
        rename_function_file(workspace, "echo", "units.py", "main.py")
    remove_function_file(workspace, "echo", "units.py")
    assert [one.path for one in list_function_files(workspace, "echo")] == ["main.py", "model.bin"]


def test_a_function_is_disabled_in_its_configuration_and_enabled_again(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "functions" / "echo" / "function.yaml"
    set_disabled(workspace, "echo", is_disabled=True)
    assert path.read_text() == "spec:\n  disable: true\n"
    path.write_text("# Mine.\nspec:\n  handler: main:handler\n  disable: true  # for now\n")
    set_disabled(workspace, "echo", is_disabled=False)
    assert path.read_text() == "# Mine.\nspec:\n  handler: main:handler\n"
