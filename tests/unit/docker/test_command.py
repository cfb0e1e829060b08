"""Commands of Docker: their lines, and their end. The command docker is a program of the test's own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

from stack.docker.driver import Driver, end_commands, follow_lines
from stack.docker.engine import Engine
from stack.errors import BuildError

# No one waits for a command that was ended by its number.
_ENDED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a command docker that goes on until it is ended."""
    program = tmp_path / "docker"
    program.write_text(f'#!{sys.executable}\nimport time\nprint("begun", flush=True)\ntime.sleep(60)\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def make_lines() -> Iterator[str]:
    lines = DockerClient().compose.logs(follow=True, stream=True)
    return (line.decode() for _, line in lines)


@_ENDED
@pytest.mark.usefixtures("docker")
def test_command_ends_with_its_reader() -> None:
    others = psutil.Process().children()
    lines = follow_lines(make_lines(), "failed")
    assert next(iter(lines)) == "begun"
    (command,) = set(psutil.Process().children()).difference(others)
    lines.close()  # type: ignore[attr-defined]
    command.wait(timeout=60)
    assert not command.is_running()


@_ENDED
@pytest.mark.usefixtures("docker")
def test_other_programs_go_on() -> None:
    with psutil.Popen(["sleep", "60"]) as other:
        next(iter(lines := make_lines()))
        end_commands()
        assert other.is_running() and other.status() != psutil.STATUS_ZOMBIE
        with pytest.raises(DockerException):
            list(lines)
        other.terminate()


def test_failure_ends_with_the_last_lines(docker: Path) -> None:
    docker.write_text("#!/bin/sh\n{ seq 30; echo why; } >&2; exit 3\n")
    with pytest.raises(BuildError, match=r"^It failed\. The log ends with:\n  12\n") as caught:
        list(follow_lines(make_lines(), "It failed"))
    assert str(caught.value).endswith("  30\n  why")


def test_compose_holds_its_lock(docker: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    docker.write_text(
        f"#!/bin/sh\nflock --nonblock --exclusive {tmp_path}/state/locks/compose true || echo held > {told}\n"
    )
    (tmp_path / "state" / "locks").mkdir(parents=True)
    Driver(Engine("p", tmp_path / "compose.yaml")).up(["a"])
    assert told.read_text() == "held\n"


def test_failed_build_shows_what_its_step_said_above_what_buildkit_repeats() -> None:
    def make_lines() -> Iterator[str]:
        yield "#3 [internal] load build context"
        yield "#7 [stage-1 3/6] RUN npm install\n"
        for number in range(30):
            yield f"#7 0.{number} npm error {number}\n"
            yield f"#8 0.{number} of another\n"
        yield '#7 ERROR: process "/bin/sh -c npm install" did not complete successfully: exit code: 1'
        yield from ("------", " > [stage-1 3/6] RUN npm install:", "0.29 npm error 29", "------", "Dockerfile:8")
        yield 'ERROR: failed to solve: process "/bin/sh -c npm install" did not complete successfully: exit code: 1'
        raise DockerException(["docker"], 1)

    with pytest.raises(BuildError) as caught:
        list(follow_lines(make_lines(), "It failed"))
    _, title, *said, rule, where, error = [line.strip() for line in str(caught.value).splitlines()]
    assert title == "> [stage-1 3/6] RUN npm install:"
    assert said == [f"0.{number} npm error {number}" for number in range(30)]
    assert (rule, where, error[:5]) == ("------", "Dockerfile:8", "ERROR")
