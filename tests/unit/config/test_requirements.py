"""What a requirements.txt refers to."""

from pathlib import Path

import pytest

from stack.config.requirements import Requirements, read_requirements


def read(folder: Path, files: dict[str, str]) -> tuple[Requirements, ...]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return read_requirements(folder, list(files))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pika==1.3\nrequests[socks]>=2  # -r x.txt\n# -r y.txt",
        "git+https://a.example/b.git#egg=b\nhttps://a.example/c.whl\nd @ https://a.example/d.whl",
        "--index-url https://a.example/simple\n-r https://a.example/r.txt\n-e git+ssh://git@a.example/e.git",
        "f; python_version < '3.12'\ng==1 --hash=sha256:00 \\\n  --hash=sha256:11\n--no-index --find-links wheels",
        "--no-binary=:all:\n-f 'unbalanced",
    ],
)
def test_what_refers_to_nothing_here(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, {"requirements.txt": text}) == ()


@pytest.mark.parametrize("line", ["-r {}", "-r{}", "--requirement {}", "-c={}", "--constraint={}", "-r \\\n  {} # it"])
def test_lists_are_followed_by_the_folder_of_who_names_them(tmp_path: Path, line: str) -> None:
    files = {
        "requirements.txt": line.format("sets/base.txt"),
        "sets/base.txt": "-r more.txt\n-c ../top.txt",
        "sets/more.txt": "-r base.txt\npika",
        "top.txt": "",
    }
    assert read(tmp_path, files) == (Requirements("requirements.txt", ("sets/base.txt", "sets/more.txt", "top.txt")),)


@pytest.mark.parametrize(
    "line",
    [
        "./wheels/a.whl",
        "wheels/a.whl",
        "./lib[extra]; python_version > '3'",
        "-e ./lib",
        "-e lib[x]",
        "--editable=.",
        "--no-index --find-links wheels",
        "-f ./wheels",
        "a @ file:///opt/nuclio/wheels/a.whl",
        "/opt/nuclio/wheels/a.whl",
        "-r ${BASE}/x.txt",
    ],
)
def test_what_is_installed_from_the_folder_needs_the_code(tmp_path: Path, line: str) -> None:
    files = {"requirements.txt": line, "wheels/a.whl": "", "lib/setup.py": ""}
    assert read(tmp_path, files) == (Requirements("requirements.txt", needs_code=True),)


def test_what_is_missing_is_told_with_its_place(tmp_path: Path) -> None:
    files = {"pkg/requirements.txt": "pika\n-r ../base.txt", "base.txt": "\n-r ../common.txt\n./wheels/a.whl"}
    (found,) = read(tmp_path, files)
    assert found.missing == (("base.txt, line 2", "../common.txt"), ("base.txt, line 3", "pkg/wheels/a.whl"))


def test_no_link_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "far.txt").write_text("-e ./lib")
    folder = tmp_path / "thermo"
    folder.mkdir()
    (folder / "requirements.txt").symlink_to(tmp_path / "far.txt")
    assert read_requirements(folder, ["requirements.txt"]) == ()
