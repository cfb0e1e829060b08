"""The machine that is provisioned: what is there already, and where its packages can come from."""

import grp
import os
import pwd
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import assert_never

import psutil
from urllib3.exceptions import HTTPError

from stack import console
from stack.errors import HostError
from stack.plan.provision import BINDING, CONFLICTS, GATEWAY_BRIDGE, HOST, PACKAGES, RECENT, Machine, Source
from stack.plan.provision_step import (
    AnyOf,
    Check,
    DockerIsRecent,
    EngineIsOpen,
    EngineRuns,
    FileExists,
    PackagesAbsent,
    PackagesInstalled,
    PidIsOf,
    Release,
    SourceListed,
    SwarmPortsBound,
    UserInGroup,
    find_release,
    parse_os_release,
)
from stack.state.http_client import StatusError, explain, fetch

# Longer than the client waits for an engine that is busy; an engine that hangs counts as not running.
_ENGINE_TIMEOUT = 20

_BINDING = f'{{{{index .Options "{BINDING}"}}}}'

# A user's PATH on Debian lacks the folders of the engine and of the tools for users and packages.
_FOLDERS = ":/usr/local/sbin:/usr/sbin:/sbin"


def holds(check: Check) -> bool:  # noqa: C901 - one case for each kind of check
    """Return whether a check holds now; it changes nothing and asks for no password."""
    match check:
        case AnyOf(checks):
            return any(holds(each) for each in checks)
        case DockerIsRecent():
            return _docker_is_recent(check)
        case PackagesInstalled(names):
            return set(names) <= set(find_installed(names))
        case PackagesAbsent(names):
            return not find_installed(names)
        case FileExists(path):
            return Path(path).exists()
        case SourceListed():
            return _source_is_listed(check)
        case PidIsOf(path, program):
            return _pid_is_of(Path(path), program)
        case EngineRuns():
            return _engine_runs()
        case EngineIsOpen():
            return _ask_engine()[0]
        case UserInGroup(user, group):
            return _is_member(user, group)
        case SwarmPortsBound(address):
            return read_output("docker", "network", "inspect", GATEWAY_BRIDGE, "--format", _BINDING) == address
        case _:
            assert_never(check)


def find_installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the packages that are installed; removed ones whose settings are left do not count."""
    if not names or not shutil.which("dpkg-query"):
        return ()
    listing = read_output("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names)
    rows = [line.split() for line in listing.splitlines()]
    return tuple(name for name, status in rows if status in ("installed", "unpacked", "half-configured"))


def read_output(*command: str) -> str:
    """Return what a command prints, whatever its exit status; nothing if it is not there or does not end."""
    try:
        return _run(*command).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first version number in a text (`v2.26.1-4`, `Docker version 26.1.5+dfsg1`); empty without one."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(map(int, found.group().split("."))) if found else ()


def environment() -> dict[str, str]:
    """Return this process's environment with the administrator's folders in PATH and untranslated messages."""
    return os.environ | {"PATH": os.environ.get("PATH", os.defpath) + _FOLDERS, "LC_ALL": "C"}


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=_ENGINE_TIMEOUT,
        check=False,
    )


def _docker_is_recent(wanted: DockerIsRecent) -> bool:
    """An engine that does not run, or that this user may not ask, is asked by its program."""
    engine = read_output("docker", "version", "--format", "{{.Server.Version}}") or read_output("dockerd", "--version")
    compose = read_output("docker", "compose", "version", "--short")
    return (
        parse_version(engine) >= parse_version(wanted.engine)
        and parse_version(compose) >= parse_version(wanted.compose)
        and bool(parse_version(read_output("docker", "buildx", "version")))
    )


def _ask_engine() -> tuple[bool, str]:
    """Return whether the engine answers, and what the client complains of."""
    try:
        asked = _run("docker", "info", "--format", "{{.ServerVersion}}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return asked.returncode == 0 and bool(parse_version(asked.stdout)), asked.stderr


def _engine_runs() -> bool:
    """A user outside group docker is refused before the engine is reached, so its process has to be seen too."""
    answers, complaint = _ask_engine()
    return answers or ("permission denied" in complaint.lower() and _process_exists("dockerd"))


def _process_exists(program: str) -> bool:
    return any(_read_program(pid) == program for pid in psutil.pids())


def _pid_is_of(path: Path, program: str) -> bool:
    """A pid file that only root may read, and sudo only with a password, is left alone."""
    try:
        pid = path.read_text().strip()
    except FileNotFoundError:
        return True
    except PermissionError:
        pid = read_output("sudo", "-n", "cat", str(path))
        if not pid:
            return True
    return pid.isdigit() and _read_program(int(pid)) == program


def _read_program(pid: int) -> str:
    """Return what a process runs; nothing if it has ended, even if its parent has not noticed yet."""
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.name()
    except psutil.Error:
        return ""


def _source_is_listed(wanted: SourceListed) -> bool:
    """Another file that names the host counts too: apt refuses two sources of one host that name different keys."""
    own = Path(wanted.path)
    others = {*own.parent.glob("*.list"), *own.parent.glob("*.sources")} - {own}
    return _read_source(own) == wanted.content or any(_names_host(_read_source(path), wanted.host) for path in others)


def _read_source(path: Path) -> str:
    """Return an apt source; nothing if it is absent, or meant for root alone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _names_host(text: str, host: str) -> bool:
    lines = [line.strip() for line in text.splitlines()]
    disabled = any(re.fullmatch(r"Enabled:\s*(no|false)", line, re.IGNORECASE) for line in lines)
    return not disabled and any(host in line for line in lines if not line.startswith("#"))


def _is_member(user: str, group: str) -> bool:
    try:
        entry = grp.getgrnam(group)
        return user in entry.gr_mem or pwd.getpwnam(user).pw_gid == entry.gr_gid
    except KeyError:
        return False


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
    try:
        _ask(url)
    except HTTPError as error:
        return explain(error)
    return ""


def is_reachable(url: str) -> bool:
    """Return whether a URL's server answers, be it that a login is needed."""
    try:
        _ask(url)
    except StatusError:
        return True
    except HTTPError:
        return False
    return True


def _ask(url: str) -> None:
    verified = _CERTIFICATES.exists() or "SSL_CERT_FILE" in os.environ
    open_url(url, timeout=_ANSWER_SECONDS, verified=verified)


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
