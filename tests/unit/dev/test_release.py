"""A release of a small project of its own, with a real git and real packages."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from stack.dev import release
from stack.dev.check import Selection
from stack.dev.release import load_release, make_release
from stack.errors import StackError

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "pumps"
version = "0.2.0"
[tool.hatch.build.targets.wheel]
packages = ["pumps"]
"""
CHANGELOG = "# Changes\n\n## 0.2.0 (2026-11-28)\n\n- Faster.\n- Quieter.\n\n## 0.1.0\n\n- First.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "pumps"
    (folder / "pumps").mkdir(parents=True)
    (folder / "pumps" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / ".gitignore").write_text("dist/\n")
    git(folder, "init", "--quiet")
    for key, value in {"user.name": "Ann", "user.email": "ann@plant.example", "tag.gpgSign": "false"}.items():
        git(folder, "config", key, value)
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "commit.gpgSign=false", "commit", "--quiet", "--message", "Change")


def test_wheel_and_sdist_are_built_and_the_commit_is_tagged(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_release(project, is_tested=True)
    assert capsys.readouterr().out.split() == ["dist/pumps-0.2.0-py2.py3-none-any.whl", "dist/pumps-0.2.0.tar.gz"]
    assert git(project, "tag", "--list", "--format=%(contents)", "v0.2.0") == "Version 0.2.0\n\n- Faster.\n- Quieter."
    assert git(project, "rev-parse", "v0.2.0^{commit}") == git(project, "rev-parse", "HEAD")
    with zipfile.ZipFile(project / "dist" / "pumps-0.2.0-py2.py3-none-any.whl") as wheel:
        assert "pumps/__init__.py" in wheel.namelist()
    with tarfile.open(project / "dist" / "pumps-0.2.0.tar.gz") as sdist:
        assert "pumps-0.2.0/CHANGELOG.md" in sdist.getnames()


def test_everything_that_is_missing_is_named_at_once(project: Path) -> None:
    (project / "CHANGELOG.md").write_text("# Changes\n")
    git(project, "tag", "v0.2.0")
    with pytest.raises(StackError) as failure:
        make_release(project, is_tested=True)
    assert str(failure.value).splitlines() == [
        "Commit or remove what is not committed:",
        "M CHANGELOG.md",
        "CHANGELOG.md: write a section that begins with '## 0.2.0', as pyproject.toml names it",
        "pyproject.toml: version 0.2.0 is tagged already; name the next",
    ]


@pytest.mark.parametrize("status", [0, 1])
def test_no_version_is_tagged_whose_tests_fail(project: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    chosen: list[Selection] = []

    def run_tests(selection: Selection) -> int:
        chosen.append(selection)
        return status

    monkeypatch.setattr(release, "run_tests", run_tests)
    if status:
        with pytest.raises(StackError, match=r"Version 0\.2\.0 is not released: tests failed"):
            make_release(project, is_tested=False)
    else:
        make_release(project, is_tested=False)
    assert chosen == [Selection(slow=True)]
    assert git(project, "tag", "--list") == ("" if status else "v0.2.0")


def test_a_build_that_fails_leaves_no_tag(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.replace('packages = ["pumps"]', "packages = 1"))
    commit(project)
    with pytest.raises(StackError, match="hatchling build failed:\n"):
        make_release(project, is_tested=True)
    assert git(project, "tag", "--list") == ""


def test_this_version_has_its_section_in_the_changelog() -> None:
    """Ten to twenty lines for users; more is for no one."""
    notes = load_release(Path(__file__).parents[3]).notes
    assert 0 < len(notes.splitlines()) <= 20
