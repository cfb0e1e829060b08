"""Machines that are network namespaces of this one, each with a Docker Engine of its own: power and links to play with.

It takes root. What happens in a namespace is seen by no other: neither this machine's engine nor its network.
"""

import ctypes
import json
import os
import shutil
import socketserver
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from tests.docker.workspace import Result, Workspace, make_workspace, wait_until

_PROGRAMS = ("ip", "nsenter", "unshare", "setpriv", "dockerd", "docker-init", "docker")
_NAMESPACES = Path("/run/netns")
_CGROUPS = Path("/sys/fs/cgroup")
_SWITCH_ADDRESS = "10.77.0.254"
_CLONE_NEWNET = 0x40000000

# /run is the node's own, so that its containers have its own socket of Docker; so is the folder of the workspace, but
# for the first node, as on machines that share no disk.
_BOOT = """
set -e
hostname "$1"
mount -t tmpfs tmpfs /run
mount --bind "$2/resolv.conf" /etc/resolv.conf
[ -z "$4" ] || mount -t tmpfs tmpfs "$4"
exec docker-init -s -- dockerd --config-file "$2/daemon.json" --data-root "$2/data" --cgroup-parent "$3" \\
    --host "unix://$2/docker.sock" --host unix:///run/docker.sock
"""


def find_problem() -> str:
    """Return why there can be no such machines here; nothing where there can."""
    if os.geteuid():
        return "namespaces with engines of their own take root"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(missing)} is missing"
    overlay = ("unshare", "--net", "ip", "link", "add", "name", "vxlan1", "type", "vxlan", "id", "1", "dstport", "4789")
    done = subprocess.run(overlay, capture_output=True, text=True, check=False)
    return f"the kernel has no vxlan here: {done.stderr.strip()}" if done.returncode else ""


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Have this thread, and what it starts meanwhile, on the network of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as own, (_NAMESPACES / namespace).open() as other:
        _enter(libc, other.fileno())
        try:
            yield
        finally:
            _enter(libc, own.fileno())


def _enter(libc: ctypes.CDLL, file: int) -> None:
    if libc.setns(file, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Node:
    """A machine: its namespace, its link to the switch, and its engine."""

    name: str
    namespace: str
    switch: str
    address: str
    folder: Path
    hidden: str
    """A folder that this machine has, and the node has not."""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the node's engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that runs on the node's network; `ip netns exec` fails in some containers."""
        return ("nsenter", f"--net={_NAMESPACES / self.namespace}")

    @property
    def port(self) -> str:
        return f"port-{self.name}"

    def docker(self, *arguments: str, check: bool = True, timeout: float = 120) -> Result:
        command = ["docker", *arguments]
        environment = {**os.environ, **self.environment}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
        if check and result.returncode:
            raise AssertionError(f"{self.name}: {' '.join(command)}: {result.stderr}")
        return result

    def run(self, *command: str, check: bool = True) -> Result:
        """Run a command on the node's network."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=check)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and what it starts meanwhile, on the node's network: 127.0.0.1 is the node."""
        with entered(self.namespace):
            yield

    def start(self) -> None:
        """Switch it on, or on again: link and engine; the engine ends with the thread that starts it."""
        self.mend()
        boot = ("bash", "-c", _BOOT, "boot", self.name, str(self.folder), f"/{self.namespace}", self.hidden)
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--mount-proc")
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *self.prefix, *apart, *boot]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def await_engine(self) -> None:
        """Wait until the engine answers."""
        wait_until(self._answers, seconds=60, what=f"{self.name}'s engine, see {self.folder / 'log'},")

    def _answers(self) -> bool:
        return self.socket.exists() and not self.docker("version", check=False).returncode

    def power_off(self) -> None:
        """Take power away from it: no one is told, and nothing ends in good order."""
        self.cut()
        self.kill()

    def kill(self) -> None:
        """Kill the engine, and with it all that runs on the node."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def cut(self) -> None:
        """Cut its link, and leave it running."""
        _run("ip", "-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Join its link again."""
        _run("ip", "-n", self.switch, "link", "set", self.port, "up")

    @property
    def log(self) -> str:
        """The end of what the engine printed."""
        file = self.folder / "log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-10:]) if file.exists() else "it is gone"


@dataclass
class Lab:
    """Machines at one switch, and a folder that only the first of them sees."""

    name: str
    folder: Path
    nodes: list[Node] = field(default_factory=list)

    @property
    def switch(self) -> str:
        return f"{self.name}-sw"

    @property
    def workspaces(self) -> Path:
        """A folder of this machine and of the first node."""
        return self.folder / "w"

    def make_node(self, number: int) -> Node:
        """Add a machine; it is off."""
        name, address = f"n{number}", f"10.77.0.{10 + number}"
        hidden = str(self.workspaces) if self.nodes else ""
        node = Node(name, f"{self.name}-{name}", self.switch, address, self.folder / name, hidden)
        _run("ip", "netns", "add", node.namespace)
        self.nodes.append(node)
        ends = ("eth0", "netns", node.namespace, "type", "veth", "peer", "name", node.port, "netns", self.switch)
        _run("ip", "link", "add", *ends)
        _run("ip", "-n", self.switch, "link", "set", node.port, "master", "br0")
        _run("ip", "-n", node.namespace, "link", "set", "lo", "up")
        _run("ip", "-n", node.namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _run("ip", "-n", node.namespace, "link", "set", "eth0", "up")
        _run("ip", "-n", node.namespace, "route", "add", "default", "via", _SWITCH_ADDRESS)
        node.folder.mkdir()
        (node.folder / "resolv.conf").write_text(f"nameserver {_SWITCH_ADDRESS}\n")
        (node.folder / "daemon.json").write_text("{}\n")
        return node

    def load(self, images: Sequence[str], nodes: Sequence[Node] = ()) -> None:
        """Give nodes, or all, images of this machine's engine; their ids stay the same."""
        archive = self.folder / "images.tar"
        try:
            _run("docker", "save", "--output", str(archive), *images)
            self.each(lambda node: node.docker("load", "--quiet", "--input", str(archive), timeout=280), nodes)
        finally:
            archive.unlink(missing_ok=True)

    def each(self, work: Callable[[Node], Any], nodes: Sequence[Node] = ()) -> None:
        """Do something with all nodes, or some, side by side."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(work, nodes or self.nodes))

    def form_swarm(self) -> None:
        """Make one Swarm of the nodes, each a manager."""
        first, *others = self.nodes
        first.docker("swarm", "init", "--advertise-addr", first.address, "--dispatcher-heartbeat", "3s")
        token = first.docker("swarm", "join-token", "--quiet", "manager").stdout.strip()
        for node in others:
            node.docker("swarm", "join", "--token", token, f"{first.address}:2377")

    def narrow(self, mtu: int) -> None:
        """Have no link between the machines take longer packets."""
        for node in self.nodes:
            _run("ip", "-n", node.namespace, "link", "set", "eth0", "mtu", str(mtu))
            _run("ip", "-n", self.switch, "link", "set", node.port, "mtu", str(mtu))

    def hostnames(self, *, state: str = "ready") -> set[str]:
        """Return the nodes that a manager, the first that answers, finds in a state."""
        for node in self.nodes:
            listed = node.docker("node", "ls", "--format", "json", check=False)
            if not listed.returncode:
                rows = [json.loads(line) for line in listed.stdout.splitlines()]
                return {row["Hostname"] for row in rows if row["Status"].lower() == state}
        return set()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Have this thread, and what it starts meanwhile, on the network of the nodes, but on none of them."""
        with entered(self.switch):
            yield

    def make_workspace(self, *, functions: bool = False) -> "NodeWorkspace":
        """Write a workspace whose tasks run on the first node."""
        root = make_workspace(self.workspaces / "stack", functions=functions).root
        return NodeWorkspace(root, node=self.nodes[0])


@dataclass(kw_only=True)
class NodeWorkspace(Workspace):
    """A workspace on a node: its tasks run there, and so do commands of Docker."""

    node: Node

    def environment(self, **variables: str) -> dict[str, str]:
        return super().environment(**{**self.node.environment, **variables})

    def command(self, *arguments: str) -> list[str]:
        return [*self.node.prefix, *super().command(*arguments)]

    def invoke(self, *arguments: str, **options: Any) -> Result:
        # The network is in the command already; a prefix has the task run as a process of its own.
        return super().invoke(*arguments, **{"prefix": ("env",), **options})

    def docker(self, *arguments: str, check: bool = True) -> Result:
        return self.node.docker(*arguments, check=check)


@contextmanager
def open_lab(count: int = 3) -> Iterator[Lab]:
    """Yield machines that are on, each alone; nothing of them stays."""
    folder = Path(tempfile.mkdtemp(prefix="tglab-", dir="/var/tmp"))
    lab = Lab(folder.name, folder)
    with ExitStack() as exits:
        exits.callback(_clear, lab)
        lab.workspaces.mkdir()
        _run("ip", "netns", "add", lab.switch)
        _run("ip", "-n", lab.switch, "link", "set", "lo", "up")
        _run("ip", "-n", lab.switch, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", lab.switch, "addr", "add", f"{_SWITCH_ADDRESS}/24", "dev", "br0")
        _run("ip", "-n", lab.switch, "link", "set", "br0", "up")
        exits.enter_context(_answering(lab))
        for number in range(1, count + 1):
            lab.make_node(number).start()
        for node in lab.nodes:
            node.await_engine()
        yield lab


class _NoSuchName(socketserver.BaseRequestHandler):
    """Answers that there is no such name: without an answer every look-up of an engine takes seconds."""

    def handle(self) -> None:
        query, socket = self.request
        end = query.index(b"\0", 12) + 5
        socket.sendto(query[:2] + b"\x81\x83\0\1" + bytes(6) + query[12:end], self.client_address)


@contextmanager
def _answering(lab: Lab) -> Iterator[None]:
    with lab.outside():
        server = socketserver.UDPServer((_SWITCH_ADDRESS, 53), _NoSuchName)
    with server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _clear(lab: Lab) -> None:
    for node in lab.nodes:
        node.kill()
    for namespace in [lab.switch, *(node.namespace for node in lab.nodes)]:
        _run("ip", "netns", "delete", namespace, check=False)
    # The folder of namespaces is a mount of its own, which is busy while it has one.
    if not any(_NAMESPACES.iterdir()) and not _run("umount", str(_NAMESPACES), check=False).returncode:
        with suppress(OSError):
            _NAMESPACES.rmdir()
    wait_until(lambda: _remove_cgroups(lab), what="the end of every container")
    shutil.rmtree(lab.folder)


def _remove_cgroups(lab: Lab) -> bool:
    """Remove the control groups of containers, which takes that all have ended; return whether none is left."""
    found = [*_CGROUPS.glob(f"{lab.name}-n*"), *_CGROUPS.glob(f"*/{lab.name}-n*")]
    for top in found:
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    return not any(top.exists() for top in found)


def _run(*command: str, check: bool = True) -> Result:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}: {result.stderr}")
    return result
