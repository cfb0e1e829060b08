"""The steps for every supported release, as files. UPDATE_GOLDEN=1 writes them again."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stack.errors import HostError
from stack.plan.provision import HOST, PACKAGES, Machine, Source, plan_provision, render_cloud_config
from stack.plan.provision_step import RELEASES, describe_step, find_release, parse_os_release
from stack.run.provision.provision import CLOUD_CONFIG

GOLDEN = Path(__file__).parent / "golden/provision"
SUPPORTED = sorted(path.parent.name for path in GOLDEN.glob("*/os-release"))
REFUSED = sorted(path.name.removesuffix(".os-release") for path in (GOLDEN / "refused").glob("*.os-release"))


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def read_machine(name: str, architecture: str = "amd64") -> Machine:
    """A user with sudo on a machine where nothing is installed."""
    return Machine(
        release=find_release(parse_os_release((GOLDEN / name / "os-release").read_text()), architecture),
        architecture=architecture,
        prefix=("sudo",),
        user="ann",
        installed=(),
        has_docker=False,
        has_systemd=True,
        has_apparmor=True,
    )


def describe(machine: Machine, source: Source) -> str:
    try:
        steps = plan_provision(machine, source)
    except HostError as error:
        return f"HostError: {error}\n"
    return "".join(f"{line}\n" for step in steps for line in describe_step(step))


def test_every_release_has_its_os_release() -> None:
    assert sorted(f"{release.system}-{release.version}" for release in RELEASES) == SUPPORTED


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("name", SUPPORTED)
def test_steps_of_a_release(name: str, source: Source) -> None:
    compare(f"{name}/{source}.txt", describe(read_machine(name), source))


def test_steps_on_a_raspberry_pi() -> None:
    compare("debian-12/arm64.txt", describe(read_machine("debian-12", "arm64"), Source.DOCKER))


def test_steps_in_a_container() -> None:
    machine = replace(read_machine("debian-13"), prefix=(), user="", has_systemd=False, has_apparmor=False)
    compare("debian-13/container.txt", describe(machine, Source.DISTRO))


def test_steps_where_the_distribution_has_an_old_docker() -> None:
    machine = replace(read_machine("debian-12"), installed=("docker.io", "containerd", "runc"))
    compare("debian-12/old-docker.txt", describe(machine, Source.DOCKER))


@pytest.mark.parametrize("source", Source)
def test_steps_where_docker_is_there(source: Source) -> None:
    compare("debian-12/with-docker.txt", describe(replace(read_machine("debian-12"), has_docker=True), source))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_system(name: str) -> None:
    facts = parse_os_release((GOLDEN / "refused" / f"{name}.os-release").read_text())
    with pytest.raises(HostError) as caught:
        find_release(facts, "amd64")
    compare(f"refused/{name}.txt", f"{caught.value}\n")


def test_cloud_config() -> None:
    text = render_cloud_config(CLOUD_CONFIG.read_text())
    compare("cloud-config.yaml", text)
    assert text.startswith("#cloud-config\n")
    commands = "\n".join(yaml.safe_load(text)["runcmd"])
    assert HOST in commands
    assert set(PACKAGES) <= set(commands.split())
