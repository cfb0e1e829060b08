"""bootstrap itself, with pip for real: a small project whose pins are some of requirements.lock's."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# invoke, and what an editable installation is built with.
PINNED = {"editables", "hatchling", "invoke", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sample"
version = "1"
requires-python = ">=3.11"

[tool.hatch.build.targets.wheel]
packages = ["sample"]
"""

TASKS = """\
import os

from invoke import task


@task
def where(c):
    import sample

    print(os.getcwd(), sample.__file__)
"""


def run(
    bootstrap: Path, *arguments: str, cwd: Path | str = "/", env: dict[str, str] | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bootstrap, *arguments], cwd=cwd, env=env, user=user, capture_output=True, text=True, timeout=200, check=False
    )


def make_project(folder: Path) -> Path:
    """A project in a folder, and its bootstrap."""
    (folder / "sample").mkdir(parents=True)
    (folder / "sample/__init__.py").touch()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "tasks.py").write_text(TASKS)
    pins = (ROOT / "requirements.lock").read_text().replace("\\\n", "\\\0").splitlines()
    chosen = [line.replace("\0", "\n") for line in pins if line.partition("==")[0] in PINNED]
    assert len(chosen) == len(PINNED)
    (folder / "requirements.lock").write_text("\n".join(chosen) + "\n")
    shutil.copy(ROOT / "bootstrap", folder)
    return folder / "bootstrap"


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bootstrap that ran once, in a folder with spaces."""
    path = make_project(tmp_path_factory.mktemp("boot") / "a tide gate")
    first = run(path, "where", cwd="/usr")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"/usr {path.parent}/sample/__init__.py\n"
    assert [line.partition(" with ")[0] for line in first.stderr.splitlines()] == [
        "bootstrap: making .venv",
        "bootstrap: installing the packages of requirements.lock",
    ]
    return path


def read_made(bootstrap: Path) -> int:
    """What differs between two environments."""
    return (bootstrap.parent / ".venv/pyvenv.cfg").stat().st_ino


def test_a_second_run_is_silent_and_installs_nothing(bootstrap: Path, tmp_path: Path) -> None:
    made = read_made(bootstrap)
    again = run(bootstrap, "where", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"{tmp_path} ")
    assert read_made(bootstrap) == made


def test_it_works_through_a_link(bootstrap: Path, tmp_path: Path) -> None:
    (tmp_path / "tide").symlink_to(bootstrap)
    assert run(tmp_path / "tide", "where", cwd=tmp_path).stdout.startswith(f"{tmp_path} {bootstrap.parent}/")


def test_without_a_task_it_lists_them(bootstrap: Path) -> None:
    listed = run(bootstrap)
    assert listed.returncode == 0
    assert "where" in listed.stdout


def test_the_exit_status_is_that_of_invoke(bootstrap: Path) -> None:
    failed = run(bootstrap, "no-such-task")
    assert failed.returncode != 0
    assert "no-such-task" in failed.stderr


def test_a_changed_lock_is_installed_into_the_same_environment(bootstrap: Path) -> None:
    made = read_made(bootstrap)
    lock = bootstrap.parent / "requirements.lock"
    lock.write_text(f"# changed\n{lock.read_text()}")
    changed = run(bootstrap, "where")
    assert changed.returncode == 0
    assert changed.stderr == "bootstrap: installing the packages of requirements.lock\n"
    assert read_made(bootstrap) == made


def test_an_environment_whose_python_has_gone_is_made_again(bootstrap: Path) -> None:
    for python in (bootstrap.parent / ".venv/bin").glob("python*"):
        python.unlink()
        python.symlink_to("/usr/bin/python3.0")
    again = run(bootstrap, "where")
    assert again.returncode == 0, again.stderr
    assert "making .venv" in again.stderr


def test_a_copied_environment_is_made_again(bootstrap: Path, tmp_path: Path) -> None:
    """The scripts of an environment name the folder that it was made in."""
    copy = tmp_path / "copy"
    shutil.copytree(bootstrap.parent, copy, symlinks=True)
    again = run(copy / "bootstrap", "where")
    assert again.returncode == 0, again.stderr
    assert "making .venv" in again.stderr
    assert again.stdout == f"/ {copy}/sample/__init__.py\n"


def test_a_half_made_environment_is_made_again(bootstrap: Path) -> None:
    """pip fails or is interrupted; whatever it left is not trusted, even if the lock is what it was before."""
    lock = bootstrap.parent / "requirements.lock"
    good = lock.read_text()
    lock.write_text(f"{good}no-such-package-of-tidegate==1 --hash=sha256:{'0' * 64}\n")
    failed = run(bootstrap, "where", env=os.environ | {"PIP_NO_INDEX": "1"})
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "No matching distribution found" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("bootstrap: pip failed: see above.")
    lock.write_text(good)
    repaired = run(bootstrap, "where")
    assert repaired.returncode == 0, repaired.stderr
    assert "making .venv" in repaired.stderr


@pytest.fixture
def bare_path() -> Iterator[Path]:
    """A PATH, for every user, that has what bootstrap needs, and neither Python nor sudo."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for name in ("cat", "dirname", "grep", "id", "readlink", "rm", "sed", "sh", "sha256sum"):
            (Path(folder) / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_without_python_and_sudo_it_says_what_to_ask_for(bare_path: Path) -> None:
    (bare_path / "apt-get").symlink_to("/bin/false")
    path = make_project(bare_path / "project")
    refused = run(path, "where", env={"PATH": str(bare_path)}, user=65534)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert (
        "Python 3.11 or newer with venv is needed: ask the administrator to type: apt-get install python3"
        in refused.stderr
    )


def test_without_python_and_apt_it_says_what_is_needed(bare_path: Path, tmp_path: Path) -> None:
    path = make_project(tmp_path / "elsewhere")
    refused = run(path, "where", env={"PATH": str(bare_path)})
    assert refused.returncode == 1
    assert refused.stderr == (
        "bootstrap: Python 3.11 or newer with venv is needed: install it with this system's package manager\n"
    )


def test_it_is_small_and_sound() -> None:
    assert len((ROOT / "bootstrap").read_text().splitlines()) < 80
    if shellcheck := shutil.which("shellcheck"):
        checked = subprocess.run([shellcheck, ROOT / "bootstrap"], capture_output=True, text=True, check=False)
        assert checked.stdout == ""
