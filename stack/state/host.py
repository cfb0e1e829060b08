"""This machine: its apt archive, its certificates, its free ports and its free space."""

import errno
import hashlib
import os
import platform
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from io import FileIO
from pathlib import Path

from stack.config.settings import Settings
from stack.errors import HostError
from stack.plan.image import Archive
from stack.plan.inputs import HostContext
from stack.state.workspace import NAMES_VARIABLE, PROGRAM, is_inside

# Handed to builds as BuildKit's predefined arguments, which it keeps out of the image's history.
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# Components of Debian's and Ubuntu's archives that the images need.
_COMPONENTS = frozenset({"main", "universe"})
# Variables by which pip, curl and Python are told of a site's own certificates.
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_GIGABYTE = 1024**3
# What neither the dashboard nor the scaler is made of.
_OTHERS = ("templates/bench/", "templates/provision/", "stack/bench/", "stack/dev/")
# What Tidegate itself needs in a container.
LIBRARIES = PROGRAM / "stack" / "run" / "requirements.lock"


def read_archive() -> Archive:
    """Ask apt for the sources of this machine's own release, third parties left out.

    Raises:
        HostError: this is no Debian or Ubuntu, or apt has no sources.
    """
    codename = _codename()
    try:
        with tempfile.TemporaryDirectory() as empty:
            listing = subprocess.run(_list_targets(empty), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise HostError("apt-get does not answer, so images cannot be built from packages on this machine.") from error
    lines = [line for entry in listing.splitlines() if (line := _source_line(entry.split(), codename))]
    if not lines:
        raise HostError(f"apt knows no sources for {codename}; see /etc/apt/sources.list.d.")
    return Archive(codename, tuple(dict.fromkeys(lines)))


def find_ca(settings: Settings) -> Path | None:
    """Find the certificates that builds should trust: as set, or as pip and curl are told, and containers always are.

    Raises:
        HostError: images.ca names no file.
    """
    if settings.images.ca and not is_inside():
        path = Path(settings.images.ca).expanduser()
        if not path.is_file():
            raise HostError(f"stack.yaml: images.ca: there is no file {path}.")
        return path
    told = (Path(os.environ[name]) for name in _CA_VARIABLES if os.environ.get(name))
    return next((path for path in told if path.is_file()), None)


def processor_digest() -> str:
    """Return a digest of what the image of the processor is made of."""
    return _digest(["stack/__init__.py", "stack/contract.py", *_list_files("stack/processor")])


def load_host_context(root: Path, settings: Settings) -> HostContext:
    """Return where the program and a workspace are, and what containers need to work as this machine does.

    A container of the stack is told its machine's names, since it has another of its own.
    """
    ca = find_ca(settings)
    return HostContext(
        str(PROGRAM),
        str(root),
        hashlib.sha256(LIBRARIES.read_bytes()).hexdigest(),
        code=program_digest(),
        names=tuple(os.environ[NAMES_VARIABLE].split() if NAMES_VARIABLE in os.environ else _find_names()),
        ca=str(ca.resolve()) if ca else "",
        environment=tuple((name, os.environ[name]) for name in PROXIES if os.environ.get(name)),
        architecture=find_architecture(),
    )


def _find_names() -> tuple[str, ...]:
    """Return this machine's name, and the one that other machines find by multicast DNS."""
    name = socket.gethostname()
    return (name, f"{name.partition('.')[0]}.local")


def find_architecture() -> str:
    """Return this machine's architecture as Go and images call it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@cache
def program_digest() -> str:
    """Return a digest of the program's own files, but for the processor's."""
    names = (name for top in ("stack", "templates") for name in _list_files(top))
    return _digest(name for name in names if not name.startswith(_OTHERS))[:12]


def _list_files(top: str) -> Iterator[str]:
    """Yield the files of one of the program's folders, by their paths below the program's own."""
    start = len(str(PROGRAM)) + 1
    for folder, below, files in os.walk(PROGRAM / top):
        below[:] = [one for one in below if one != "__pycache__"]
        yield from (f"{folder[start:]}/{file}" for file in files)


def _digest(names: Iterable[str]) -> str:
    """Return a digest of some of the program's files, which each task reads: pathlib does so at half the speed."""
    total, program = hashlib.sha256(), str(PROGRAM)
    for name in sorted(names):
        with FileIO(f"{program}/{name}") as file:
            total.update(name.encode() + b"\0" + file.readall())
    return total.hexdigest()


def check_ports(address: str, ports: Iterable[tuple[str, int]]) -> None:
    """Make sure that every port is free.

    Raises:
        HostError: one or more are in use; all are named, with the key of stack.yaml to change. Or the address is not
            this machine's.
    """
    if _find_problem(address, 0) == errno.EADDRNOTAVAIL:
        raise HostError(
            f"stack.yaml: bind: this machine has no address {address}. `ip -brief address` shows those that it has."
        )
    if taken := [f"{port} ({name})" for name, port in ports if _find_problem(address, port) == errno.EADDRINUSE]:
        what = f"Port {taken[0]} on {address} is" if len(taken) == 1 else f"Ports {', '.join(taken)} on {address} are"
        raise HostError(
            f"{what} in use by another program. "
            "Stop it (`ss -ltnp` shows which), or choose other numbers under `ports` in stack.yaml."
        )


def check_space(folder: str, gigabytes: float) -> None:
    """Make sure that there is room for images.

    Raises:
        HostError: there is too little.
    """
    path = next((p for p in (Path(folder), *Path(folder).parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(path).free / _GIGABYTE
    if free < gigabytes:
        raise HostError(
            f"Only {free:.1f} GB are free under {folder}, and {gigabytes:g} GB are needed. "
            "`docker system prune` frees what Docker no longer uses."
        )


def _codename() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError as error:
        raise HostError(
            "This system has no /etc/os-release; images are built from packages on Debian and Ubuntu."
        ) from error
    return release.get("VERSION_CODENAME", "")


def _list_targets(lists: str) -> list[str]:
    """Return the command that lists apt's sources; without package lists to read it takes a moment, not a second."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    options = ["-o", f"Dir::State::lists={lists}", "indextargets", "--no-release-info", "--format", form]
    return ["apt-get", *options, "Identifier: Packages"]


def _source_line(entry: list[str], codename: str) -> str:
    """Return the line of a sources.list, or nothing for another release or a third party's archive."""
    if len(entry) != 3:
        return ""
    uri, release, component = entry
    if not release.startswith(codename) or component not in _COMPONENTS or uri.startswith(("file:", "cdrom:")):
        return ""
    return f"deb {uri} {release} {component}"


def _find_problem(address: str, port: int) -> int:
    """Return why a port cannot be listened on, as an error number; a port for root alone is none: Docker is root."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or 0
    return 0
