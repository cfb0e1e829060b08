"""The plan of provisioning, and its task."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from stack.errors import HostError
from stack.plan.provision import Machine, Source, plan_provision
from stack.plan.provision_step import (
    RELEASES,
    Command,
    FileExists,
    Step,
    describe_step,
    find_release,
    parse_os_release,
)
from stack.run.provision.provision import provision

TRIXIE = RELEASES[-1]

MACHINE = Machine(
    release=TRIXIE,
    architecture="amd64",
    prefix=(),
    user="",
    installed=(),
    has_docker=False,
    has_systemd=False,
    has_apparmor=False,
)


def test_os_release_is_unquoted() -> None:
    facts = parse_os_release('# a comment\nID=debian\nNAME="Debian GNU/Linux"\n\nVERSION_ID=\'13\'\nEMPTY=""\n')
    assert facts == {"ID": "debian", "NAME": "Debian GNU/Linux", "VERSION_ID": "13", "EMPTY": ""}


def test_a_machine_in_32_bits_is_refused() -> None:
    facts = {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"}
    assert find_release(facts, "arm64") is TRIXIE
    with pytest.raises(HostError, match=r"Debian GNU/Linux 13 \(trixie\) on armhf is not supported"):
        find_release(facts, "armhf")


def test_no_os_release_is_refused() -> None:
    with pytest.raises(HostError, match="this system is not supported"):
        find_release({}, "amd64")


def test_apparmor_comes_along_where_the_kernel_has_it() -> None:
    for source in Source:
        with_it, without = (
            str(plan_provision(replace(MACHINE, has_apparmor=has), source)).count("'apparmor'") for has in (True, False)
        )
        assert (with_it, without) == (1, 0)


def test_only_packages_that_are_there_are_removed() -> None:
    steps = plan_provision(replace(MACHINE, installed=("docker-ce", "runc")), Source.DISTRO)
    assert [step.removes for step in steps if step.removes] == [("docker-ce",)]


def test_nothing_is_removed_by_an_installation() -> None:
    installs = [
        command.arguments
        for release in RELEASES
        for step in plan_provision(replace(MACHINE, release=release), Source.DOCKER)
        for command in step.commands
        if "install" in command.arguments and "apt-get" in command.arguments
    ]
    assert len(installs) == 3 * len(RELEASES)
    assert all("--no-remove" in arguments for arguments in installs)


def test_dry_run_tells_every_step(capfd: pytest.CaptureFixture[str]) -> None:
    provision("distro", dry_run=True, cloud_init=False)
    shown = capfd.readouterr().out.splitlines()
    heads = [line for line in shown if not line.startswith("    ")]
    assert all(line.startswith(("[there] ", "[to do] ")) for line in heads)
    assert any("install Docker Engine, Compose and Buildx" in line for line in heads)
    assert any("start Docker Engine" in line for line in heads)


def test_cloud_init_prints_one_document(capfd: pytest.CaptureFixture[str]) -> None:
    provision("auto", dry_run=False, cloud_init=True)
    printed = capfd.readouterr()
    assert printed.out.startswith("#cloud-config\n")
    assert printed.out.endswith("\n")
    assert printed.err == ""


def test_a_step_is_described_as_it_would_be_typed() -> None:
    step = Step("do it", "why not", FileExists(PurePosixPath("/x")), (Command(("touch", "a b")), Command(("true",))))
    assert describe_step(step) == ["do it: why not", "    touch 'a b'", "    true"]


def test_a_machine_of_a_swarm_has_its_ports_bound(capfd: pytest.CaptureFixture[str]) -> None:
    provision("distro", dry_run=True, cloud_init=False, swarm="10.0.0.7")
    shown = capfd.readouterr()
    assert "to do] have the ports of a Swarm's services listen at 10.0.0.7" in shown.out
    assert "--opt com.docker.network.bridge.host_binding_ipv4=10.0.0.7 docker_gwbridge" in shown.out
    assert "2377/tcp, 7946/tcp, 7946/udp, 4789/udp and 5001/tcp" in shown.err
    with pytest.raises(HostError, match="--bind here: should be an address of this machine"):
        provision("distro", dry_run=True, cloud_init=False, swarm="here")


def test_an_engine_with_live_restore_joins_no_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.run.provision.provision.read_output", lambda *_: "true")
    with pytest.raises(HostError, match=r"live-restore is on.*Take it out of /etc/docker/daemon\.json"):
        provision("distro", dry_run=True, cloud_init=False, swarm="127.0.0.1")
