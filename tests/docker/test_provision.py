"""Provisioning for real: from a Debian in which nothing is installed to `docker run`, in a privileged container.

The tests are one story, told in their order.
"""

import shlex
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.config.settings import Settings
from stack.docker.base_image import make_base
from stack.plan.image import debian_image
from stack.state.host import find_ca, read_archive

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FOLDER = "/srv/a tide gate"
CA = "/srv/ca.pem"

# A package that holds Docker's programs under the name that Docker's own repository gives it.
FALSE_PACKAGE = """
mkdir -p /tmp/false/DEBIAN
printf '%s\\n' 'Package: docker-ce' 'Version: 5:20.10' 'Architecture: all' 'Maintainer: nobody <n@example.org>' \
    'Description: an old Docker' >/tmp/false/DEBIAN/control
dpkg-deb --build /tmp/false /tmp/docker-ce.deb >/dev/null && dpkg --install /tmp/docker-ce.deb >/dev/null
"""

# An image of one static program, and a container of it.
RUN_CONTAINER = """
set -e
tar -c -C /usr/bin busybox | docker import - tiny >/dev/null
docker run --rm tiny /busybox echo it runs
"""

PROVISION_AND_GO_ON = """
import subprocess
from stack.run.provision.provision import provision
provision("auto", dry_run=False, cloud_init=False)
subprocess.run(["docker", "run", "--rm", "tiny", "/busybox", "echo", "it went on"], check=True)
"""


def find_base() -> str:
    """The base of this machine's own packages, which the project makes for its images too; made once."""
    archive = read_archive()
    base = debian_image(archive)
    if subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=False).returncode:
        for _ in make_base(archive, base):
            pass
    return base


def find_settings() -> list[Path]:
    """This machine's settings of how apt reaches its archive, such as a proxy."""
    return [path for path in Path("/etc/apt/apt.conf.d").iterdir() if "Acquire::" in path.read_text()]


@dataclass(frozen=True)
class Container:
    name: str

    def run(self, script: str, *, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run a shell script inside; its standard input is empty."""
        command = ["docker", "exec", "--user", user, self.name, "sh", "-c", script]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def read(self, script: str, *, user: str = "root") -> str:
        """Return what a script prints on both outputs; it has to succeed."""
        done = self.run(f"exec 2>&1; {script}", user=user)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def bootstrap(self, *arguments: str, user: str = "root", folder: str = FOLDER) -> str:
        return self.read(shlex.join([f"{folder}/bootstrap", *arguments]), user=user)


@pytest.fixture(scope="module")
def container(request: pytest.FixtureRequest, foundation: None) -> Iterator[Container]:
    """A container of the base with the project in it; its engine keeps its data in volumes of its own."""
    name = f"tidegate-test-{uuid.uuid4().hex[:8]}"
    command = ["docker", "run", "--detach", "--privileged", "--cgroupns=host", "--name", name]
    command += ["--volume=/var/lib/docker", "--volume=/var/lib/containerd"]
    command += [f"--volume={path}:{path}:ro" for path in find_settings()]
    if ca := find_ca(Settings()):
        command += [f"--volume={ca}:{CA}:ro", f"--env=PIP_CERT={CA}", f"--env=SSL_CERT_FILE={CA}"]
    subprocess.run([*command, find_base(), "sleep", "infinity"], capture_output=True, check=True)
    failed = request.session.testsfailed
    try:
        copy_project(name)
        yield Container(name)
        if request.session.testsfailed > failed:
            print(Container(name).run("tail -n 50 /var/log/dockerd.log; dpkg --list '*docker*'").stdout)
    finally:
        Container(name).run("kill $(cat /var/run/docker.pid)")
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=True)


def copy_project(name: str) -> None:
    """Copy what git tracks, or would."""
    listed: list[str | Path] = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    subprocess.run(["docker", "exec", name, "mkdir", FOLDER], check=True)
    # The names are in a file: tar reads no more of a pipe while no one reads of its own.
    with tempfile.TemporaryFile() as names:
        subprocess.run(listed, stdout=names, check=True)
        names.seek(0)
        pack: list[str | Path] = ["tar", "-c", "-C", ROOT, "--null", "--verbatim-files-from", "--files-from=-"]
        with subprocess.Popen(pack, stdin=names, stdout=subprocess.PIPE) as archive:
            unpack = ["docker", "exec", "--interactive", name, "tar", "-x", "-C", FOLDER]
            subprocess.run(unpack, stdin=archive.stdout, check=True)


@pytest.mark.slow
def test_dry_run_changes_nothing(container: Container) -> None:
    container.bootstrap("--list")
    before = container.read("dpkg-query --show; ls -R /etc")
    plan = container.bootstrap("provision", "--dry-run", "--source", "docker")
    assert "[to do] install Docker Engine, Compose and Buildx" in plan
    assert "    install -m 0644 /dev/stdin /etc/apt/sources.list.d/docker.sources <<EOF" in plan
    assert "[to do] start Docker Engine" in plan
    assert container.read("dpkg-query --show; ls -R /etc") == before


def test_packages_in_the_way_are_named_and_kept(container: Container) -> None:
    container.read(FALSE_PACKAGE)
    refused = container.run(f"'{FOLDER}/bootstrap' provision --source distro")
    assert refused.returncode == 1
    assert "These packages have to go first: docker-ce." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "installed" in container.read("dpkg-query --show --showformat='${Status}' docker-ce")


def test_from_nothing_to_docker_run(container: Container) -> None:
    said = container.bootstrap("provision", "--source", "distro", "--yes")
    assert "  remove conflicting packages" in said
    assert "  start Docker Engine" in said
    assert said.endswith("Docker is ready.\n")
    container.read("apt-get install --yes --no-install-recommends busybox-static sudo")
    assert container.read(RUN_CONTAINER) == "it runs\n"
    assert container.read("docker compose version --short && docker buildx version && mmdebstrap --version")
    # Made meanwhile, since no registry answers here.
    assert container.read("docker images --quiet tidegate/debian")


def test_an_engine_that_was_killed_comes_back(container: Container) -> None:
    """Its pid file now names another process, as happens once the numbers have gone round."""
    container.read("kill -9 $(cat /var/run/docker.pid) && sleep 1 && echo 1 >/var/run/docker.pid")
    assert container.run("docker info").returncode != 0
    said = container.bootstrap("provision")
    assert "  remove a pid file that a killed dockerd left" in said
    assert container.read("docker run --rm tiny /busybox echo again") == "again\n"


def test_a_further_run_does_nothing(container: Container) -> None:
    engine = container.read("cat /var/run/docker.pid; dpkg-query --show")
    said = container.bootstrap("provision").splitlines()
    assert said[-1] == "Docker is ready; nothing was to be done."
    assert all(line.startswith("  not needed: ") for line in said[1:-1])
    assert len(said) > 5
    assert container.read("cat /var/run/docker.pid; dpkg-query --show") == engine


@pytest.mark.slow
def test_a_user_with_sudo_goes_on_without_a_new_login(container: Container) -> None:
    """What follows provision in the same command can use Docker, though the group counts only from the next login."""
    container.read("useradd --create-home ann && echo 'ann ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ann")
    container.read(f"cp -r '{FOLDER}' /home/ann/tidegate && chown -R ann /home/ann/tidegate")
    assert container.run("docker info", user="ann").returncode != 0
    container.bootstrap("--list", user="ann", folder="/home/ann/tidegate")
    said = container.read(f"/home/ann/tidegate/.venv/bin/python -c {shlex.quote(PROVISION_AND_GO_ON)}", user="ann")
    assert "  add ann to group docker" in said
    assert "group docker counts from the next login on" in said
    assert said.endswith("\nit went on\n")
    assert "docker" in container.read("id -nG ann").split()


@pytest.mark.slow
def test_cloud_config_is_valid(container: Container) -> None:
    container.read("apt-get install --yes --no-install-recommends cloud-init")
    printed = container.run(
        f"'{FOLDER}/bootstrap' provision --cloud-init >/tmp/user-data && cloud-init schema -c /tmp/user-data"
    )
    assert printed.stdout == "Valid schema /tmp/user-data\n", printed.stderr
