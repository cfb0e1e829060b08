"""functions/NAME: what belongs to a function."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from stack.config.document import attempt_all
from stack.config.source import Function, SourceFile, find_folder, function_folders, load_function
from stack.errors import ConfigError, FunctionError


def write(workspace: Path, name: str, files: dict[str, str]) -> Path:
    folder = workspace / "functions" / name
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def load_functions(workspace: Path, *, is_lenient: bool = False) -> tuple[Function, ...]:
    return attempt_all(load_function, function_folders(workspace).values(), is_lenient=is_lenient)


def problems_of(workspace: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_functions(workspace)
    return list(caught.value.problems)


def test_no_functions(tmp_path: Path) -> None:
    assert load_functions(tmp_path) == ()


def test_folders_with_a_function_yaml_are_functions(tmp_path: Path) -> None:
    write(tmp_path, "b", {"function.yaml": ""})
    write(tmp_path, "a", {"function.yaml": "metadata: {name: a}"})
    write(tmp_path, "notes", {"readme.md": ""})
    assert [one.name for one in load_functions(tmp_path)] == ["a", "b"]


def test_mistakes_of_all_functions_are_told_together_or_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a", {"function.yaml": "spec: {handler: 5}"})
    write(tmp_path, "b", {"function.yaml": "{}"})
    write(tmp_path, "c", {"function.yaml": "spce: {}"})
    assert [problem.partition(":")[0] for problem in problems_of(tmp_path)] == [
        "functions/a/function.yaml",
        "functions/c/function.yaml",
    ]
    assert [one.name for one in load_functions(tmp_path, is_lenient=True)] == ["b"]


def test_what_belongs_to_a_function(tmp_path: Path) -> None:
    files = {name: "" for name in ("function.yaml", "main.py", "data/x.csv", "__pycache__/a.pyc", ".git/x", "a.pyc")}
    folder = write(tmp_path, "a", files)
    (folder / "link").symlink_to("main.py")
    (folder / "gone").symlink_to("nowhere")
    (folder / "tables").symlink_to("data")
    found = [file.path for file in load_function(folder).files]
    assert found == ["data/x.csv", "function.yaml", "gone", "link", "main.py", "tables"]


def test_digest_follows_content_and_mode(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", {"function.yaml": "", "main.py": "1"})
    before = load_function(folder).files
    assert load_function(folder).files == before
    (folder / "main.py").chmod(0o755)
    executable = load_function(folder).files
    assert executable != before
    (folder / "main.py").write_text("2")
    assert load_function(folder).files != executable


def test_name_is_the_folders(tmp_path: Path) -> None:
    write(tmp_path, "a", {"function.yaml": "metadata: {name: b}"})
    assert problems_of(tmp_path) == [
        "functions/a/function.yaml: metadata.name: should be 'a', the name of its folder, not 'b'"
    ]


@pytest.mark.parametrize("name", ["my function", "dashboard", "-a"])
def test_folders_name_must_be_a_functions(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, {"function.yaml": ""})
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(f"functions/{name}: the folder's name ")


def test_mistakes_of_all_functions_are_told(tmp_path: Path) -> None:
    write(tmp_path, "a", {"function.yaml": "spec: {x: 1, y: 2}"})
    write(tmp_path, "b", {"function.yaml": ""})
    write(tmp_path, "c", {"function.yaml": "["})
    assert [one.partition(": ")[0] for one in problems_of(tmp_path)] == [
        "functions/a/function.yaml",
        "functions/a/function.yaml",
        "functions/c/function.yaml",
    ]


def test_unknown_function_names_the_known(tmp_path: Path) -> None:
    write(tmp_path, "a", {"function.yaml": ""})
    with pytest.raises(FunctionError, match=r"There is no functions/b/function\.yaml\. Functions here: a\."):
        find_folder(tmp_path, "b")
    with pytest.raises(FunctionError):
        find_folder(tmp_path, "../functions/a")


def test_folder_that_goes_away_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(folder: Path) -> tuple[SourceFile, ...]:
        shutil.rmtree(folder)
        return tuple(SourceFile("main.py", (folder / "main.py").read_text()) for _ in "1")

    write(tmp_path, "a", {"function.yaml": "", "main.py": ""})
    monkeypatch.setattr("stack.config.source.read_files", lose)
    assert problems_of(tmp_path) == ["functions/a: main.py went away while the folder was read; try again"]


def test_file_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", {"function.yaml": "", "main.py": ""})
    (folder / os.fsdecode(b"caf\xe9.txt")).touch()
    assert problems_of(tmp_path) == ["functions/a: the name of caf\N{REPLACEMENT CHARACTER}.txt is no UTF-8; rename it"]


def test_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, who may run the tests, reads every file."""
    folder = write(tmp_path, "a", {"function.yaml": "", "main.py": "", "data/key.pem": ""})
    (folder / "data" / "key.pem").chmod(0)
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if not path.stat().st_mode & 0o400:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    problem = "functions/a/data/key.pem cannot be read: Permission denied; let your user read it, or remove it"
    assert problems_of(tmp_path) == [problem]
