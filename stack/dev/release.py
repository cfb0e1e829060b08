"""A release: checked, built and tagged on this machine; what leaves it is pushed by a person."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from stack import console
from stack.dev.check import Selection, run_tests
from stack.errors import StackError

_CHANGELOG = "CHANGELOG.md"
_DIST = "dist"


@dataclass(frozen=True)
class Release:
    """A version of the project in a folder."""

    folder: Path
    version: str
    notes: str
    """What CHANGELOG.md says of it; nothing where it says nothing."""

    @property
    def tag(self) -> str:
        """Return the name of its tag."""
        return f"v{self.version}"


def load_release(folder: Path) -> Release:
    """Read the version that pyproject.toml names, and its section of CHANGELOG.md."""
    version = str(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"])
    section = re.search(
        rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)",
        (folder / _CHANGELOG).read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return Release(folder, version, section[1].strip() if section else "")


def make_release(folder: Path, *, is_tested: bool) -> None:
    """Check the version, run every test unless told that they passed, build wheel and sdist, and tag the commit.

    Raises:
        StackError: something is not as a release needs it; no tag is made then.
    """
    release = load_release(folder)
    if problems := find_problems(release):
        raise StackError("\n".join(problems))
    if not is_tested and run_tests(Selection(slow=True)):
        raise StackError(f"Version {release.version} is not released: tests failed.")
    files = build_packages(release)
    _git(release, "tag", "--annotate", release.tag, "--message", f"Version {release.version}\n\n{release.notes}")
    for file in files:
        console.show(str(file.relative_to(folder)))
    console.success(f"{release.tag} is tagged. To publish it, type: git push origin {release.tag}")


def find_problems(release: Release) -> list[str]:
    """Return what keeps a version from being released, each with what to do."""
    problems = []
    if changed := _git(release, "status", "--porcelain"):
        problems.append(f"Commit or remove what is not committed:\n{changed}")
    if not release.notes:
        wanted = f"## {release.version}"
        problems.append(f"{_CHANGELOG}: write a section that begins with {wanted!r}, as pyproject.toml names it")
    if _git(release, "tag", "--list", release.tag):
        problems.append(f"pyproject.toml: version {release.version} is tagged already; name the next")
    return problems


def build_packages(release: Release) -> list[Path]:
    """Build wheel and sdist into dist/; return both.

    Raises:
        StackError: they could not be built; the message is the builder's own.
    """
    _run(release, sys.executable, "-m", "hatchling", "build", "-d", _DIST)
    return sorted((release.folder / _DIST).glob(f"*-{release.version}[.-]*"))


def _git(release: Release, *arguments: str) -> str:
    return _run(release, "git", *arguments)


def _run(release: Release, *command: str) -> str:
    result = subprocess.run(command, cwd=release.folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StackError(f"{' '.join(command[:4])} failed:\n{(result.stderr or result.stdout).strip()}")
    return result.stdout.strip()
