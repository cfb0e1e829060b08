"""The running of provisioning's steps."""

import os
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from stack.errors import HostError
from stack.plan.provision import Source, plan_provision
from stack.plan.provision_step import (
    Command,
    FileExists,
    Step,
)
from stack.run.provision.machine import holds
from stack.run.provision.provision import apply_step
from tests.unit import test_provision

MACHINE = replace(test_provision.MACHINE, prefix=("sudo",), user="ann", installed=("runc",))


def make_step(path: Path, *commands: str, wait: float = 0, diagnosis: Command | None = None) -> Step:
    """A step that is done when the file is there."""
    shell = tuple(Command(("sh", "-c", command)) for command in commands)
    return Step(
        "make the file", "the test reads it", FileExists(PurePosixPath(path)), shell, wait=wait, diagnosis=diagnosis
    )


def test_a_step_runs_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    step = make_step(tmp_path / "made", f"echo once >>'{tmp_path / 'made'}'; echo noise")
    assert apply_step(step, yes=False)
    assert not apply_step(step, yes=False)
    assert (tmp_path / "made").read_text() == "once\n"
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "  make the file: the test reads it\n  not needed: make the file\n"


def test_a_command_reads_its_text(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    command = Command(("install", "-m", "0640", "/dev/stdin", str(path)), text="one\ntwo\n")
    apply_step(replace(make_step(path), commands=(command,)), yes=False)
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert str(command) == f"install -m 0640 /dev/stdin '{path}' <<EOF\none\ntwo\nEOF"


def test_a_failing_command_shows_its_last_lines(tmp_path: Path) -> None:
    step = make_step(tmp_path / "never", "seq 100; echo broken >&2; exit 3", "touch never")
    with pytest.raises(HostError) as caught:
        apply_step(step, yes=False)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Could not make the file. This failed: sh -c ")
    assert lines[1:-1] == [*map(str, range(82, 101)), "broken"]
    assert "type the same again" in lines[-1]


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    step = replace(make_step(tmp_path / "never"), commands=(Command(("no-such-program", "--yes")),))
    with pytest.raises(HostError, match="This failed: no-such-program --yes"):
        apply_step(step, yes=False)


def test_a_step_without_effect_is_diagnosed(tmp_path: Path) -> None:
    step = make_step(tmp_path / "never", "true", diagnosis=Command(("echo", "the disk is full")))
    with pytest.raises(HostError, match=r"it is not there\. `echo 'the disk is full'` says:\nthe disk is full\n"):
        apply_step(step, yes=False)


def test_a_step_waits_for_its_effect(tmp_path: Path) -> None:
    path = tmp_path / "late"
    apply_step(make_step(path, f"(sleep 0.5; touch '{path}') >/dev/null 2>&1 &", wait=10), yes=False)
    assert path.exists()


@pytest.fixture
def removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """The step that removes a package; apt, asked to simulate, says that another one goes with it."""
    program = tmp_path / "sudo"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = tmp_path / "apt"
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        '*--simulate*) echo "Remv runc [1.1]"; echo "Remv buildah [1.39]";;\n'
        f'*) touch "{tmp_path}/gone";;\nesac\n'
    )
    script.chmod(0o755)
    (step,) = (step for step in plan_provision(MACHINE, Source.DOCKER) if step.removes)
    return replace(
        step,
        check=FileExists(PurePosixPath(tmp_path / "gone")),
        commands=(Command((str(script), "remove")),),
    )


def test_removal_is_refused_where_no_one_can_be_asked(removal: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as closed:
        monkeypatch.setattr(sys, "stdin", closed)
        with pytest.raises(
            HostError, match=r"have to go first: runc, buildah\. Remove them\? No one can be asked here; add --yes"
        ):
            apply_step(removal, yes=False)
        assert not holds(removal.check)
        assert apply_step(removal, yes=True)


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_removal_is_asked_for_on_a_terminal(
    removal: Step, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], answer: str, removed: bool
) -> None:
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal) as stdin, os.fdopen(keyboard, "w") as typist:
        monkeypatch.setattr(sys, "stdin", stdin)
        typist.write(answer)
        typist.flush()
        if removed:
            assert apply_step(removal, yes=False)
        else:
            with pytest.raises(HostError, match="cannot be installed beside them"):
                apply_step(removal, yes=False)
    assert holds(removal.check) is removed
    assert "These packages have to go first: runc, buildah. Remove them? [y/N]" in "".join(capfd.readouterr())


def test_running_containers_are_not_stopped_unasked(
    removal: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though only root is told of them, as where the user is not in group docker."""
    for name, script in (("docker", '[ "$ROOT" ] && echo web && echo db'), ("sudo", 'ROOT=1 exec "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(
        HostError, match=r"stops the running containers web, db\. Stop them yourself \(docker stop web db\)"
    ):
        apply_step(removal, yes=True)
    assert not holds(removal.check)
