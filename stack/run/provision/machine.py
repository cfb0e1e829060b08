"""The machine that is provisioned: what its system tells, and where its Docker packages can come from."""

import os
import pwd
import ssl
import subprocess
from pathlib import Path

from urllib3.exceptions import HTTPError

from stack import console
from stack.errors import HostError
from stack.plan.provision import CONFLICTS, HOST, PACKAGES, RECENT, Machine, Source
from stack.plan.provision_step import Release, find_release, parse_os_release
from stack.run.provision.check import find_installed, holds, read_output
from stack.state.http_client import explain, fetch

# Long enough for a slow line; a firewall that drops packets costs no more.
_ANSWER_SECONDS = 4

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def read_machine() -> Machine:
    """Return what this machine is.

    Raises:
        HostError: its system is not supported.
    """
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    architecture = read_output("dpkg", "--print-architecture") or os.uname().machine
    return Machine(
        release=find_release(parse_os_release(_read_os_release()), architecture),
        architecture=architecture,
        prefix=() if os.geteuid() == 0 else ("sudo",),
        user=_find_user(),
        installed=find_installed((*PACKAGES, *CONFLICTS)),
        has_docker=holds(RECENT),
        has_systemd=Path("/run/systemd/system").is_dir(),
        has_apparmor=apparmor.exists() and apparmor.read_text().startswith("Y"),
    )


def choose_source(wanted: str, machine: Machine) -> Source:
    """Return where packages come from: as wanted or, for `auto`, what is there, else Docker if it answers.

    Raises:
        HostError: no such source, or no source that will do can be reached.
    """
    if wanted != "auto":
        return _parse_source(wanted)
    if machine.has_docker or "docker-ce" in machine.installed:
        return Source.DOCKER
    if "docker.io" in machine.installed and machine.release.packages:
        return Source.DISTRO
    problem = find_problem(f"https://{HOST}/linux/{machine.release.system}/dists/{machine.release.codename}/InRelease")
    if not problem:
        return Source.DOCKER
    return _fall_back(machine.release, problem)


def open_url(url: str, *, timeout: float, verified: bool = True) -> bytes:
    """Return what a URL holds, by way of the proxies that the environment names.

    Raises:
        HTTPError: it cannot be reached in time or refuses.
    """
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with fetch(url, timeout=timeout, context=context) as answer:
        return answer.read()


def find_problem(url: str) -> str:
    """Return why a URL does not answer, or nothing if it does.

    A machine without ca-certificates cannot verify yet whom it asks. Nothing of the answer is used, and by the time
    that something is, they are installed.
    """
    verified = _CERTIFICATES.exists() or "SSL_CERT_FILE" in os.environ
    try:
        open_url(url, timeout=_ANSWER_SECONDS, verified=verified)
    except HTTPError as error:
        return explain(error)
    return ""


def _fall_back(release: Release, problem: str) -> Source:
    if release.packages:
        console.note(f"{HOST} does not answer ({problem}), so {release}'s own Docker packages are used.")
        return Source.DISTRO
    raise HostError(
        f"{HOST} does not answer ({problem}), and {release}'s own Docker packages are too old. Make it reachable "
        "(a proxy is named by https_proxy, and in /etc/apt/apt.conf.d for apt), then type the same again."
    )


def _parse_source(wanted: str) -> Source:
    try:
        return Source(wanted)
    except ValueError:
        raise HostError(
            f"--source {wanted}: there is auto, docker and distro. Type: invoke provision --source auto"
        ) from None


def _read_os_release() -> str:
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.exists():
            return path.read_text()
    return ""


def _find_user() -> str:
    """Return who will use Docker: the one who typed sudo, or who runs this; no one if that is root."""
    user = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    return "" if user == "root" else user


def install_package(name: str, purpose: str) -> None:
    """Install a package; `purpose` is what it does, such as "makes the load".

    Raises:
        HostError: it cannot be installed; the message says what to type.
    """
    console.say(f"Installing {name}, which {purpose}.")
    root = () if os.geteuid() == 0 else ("sudo",)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("install", "--quiet=2", "--yes", "--no-install-recommends", name)
    for arguments in (("update", "--quiet=2"), install):
        command = (*root, "apt-get", *arguments)
        try:
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            problem = f"{name}, which {purpose}, could not be installed. To see why, type: {' '.join(command)}"
            raise HostError(problem) from error
