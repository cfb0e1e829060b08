"""Whether what a step of provisioning is for is already there, on this machine and now."""

import grp
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import assert_never

import psutil

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
    SourceListed,
    UserInGroup,
)

# Longer than the client waits for an engine that is busy; an engine that hangs counts as not running.
_ENGINE_TIMEOUT = 20

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
