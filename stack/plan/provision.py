"""What a machine needs before the stack can run: Docker Engine, Compose and Buildx, as a list of steps."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from jinja2 import Environment, StrictUndefined

from stack.errors import HostError
from stack.plan.provision_step import (
    AnyOf,
    Command,
    DockerIsRecent,
    EngineIsOpen,
    EngineRuns,
    FileExists,
    PackagesAbsent,
    PackagesInstalled,
    PidIsOf,
    Release,
    SourceListed,
    Step,
    SwarmPortsBound,
    UserInGroup,
)

# Engine 25.0 brought the start interval of health checks, Compose 2.20 `include` and `up --wait` as they are used here.
RECENT = DockerIsRecent(engine="25.0", compose="2.20")

# With it base images can be made, Docker or not.
MMDEBSTRAP = PackagesInstalled(("mmdebstrap",))

HOST = "download.docker.com"
KEY = PurePosixPath("/etc/apt/keyrings/docker.asc")
SOURCE = PurePosixPath("/etc/apt/sources.list.d/docker.sources")
LOG = PurePosixPath("/var/log/dockerd.log")

PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")
CONFLICTS = ("docker.io", "docker-compose", "docker-compose-v2", "docker-doc", "podman-docker", "containerd", "runc")

# The network by which Swarm's services reach their node, and its option that says where their ports listen.
GATEWAY_BRIDGE = "docker_gwbridge"
_BRIDGE = "com.docker.network.bridge"
BINDING = f"{_BRIDGE}.host_binding_ipv4"


class Source(StrEnum):
    """Where Docker's packages come from."""

    DOCKER = "docker"
    DISTRO = "distro"


@dataclass(frozen=True)
class Machine:
    """What the steps depend on.

    `prefix` makes a command root's: nothing for root, sudo for others. `user` is who will use Docker, or empty if that
    is root. `has_docker` says that Docker is there already, from anywhere, and recent enough; `installed` are those of
    its packages that are there. Where the kernel has AppArmor, Docker starts no container without AppArmor's own tools.
    """

    release: Release
    architecture: str
    prefix: tuple[str, ...]
    user: str
    installed: tuple[str, ...]
    has_docker: bool
    has_systemd: bool
    has_apparmor: bool


def plan_provision(machine: Machine, source: Source) -> tuple[Step, ...]:
    """Return the steps, in their order.

    Raises:
        HostError: the distribution's own packages are asked for and too old.
    """
    return *_plan_packages(machine, source), *_plan_engine(machine), *_plan_user(machine)


def plan_swarm(prefix: tuple[str, ...], address: str) -> tuple[Step, ...]:
    """Return the steps that a machine needs before it joins a Swarm, whose ports are to listen at an address of it."""
    options = {
        f"{_BRIDGE}.name": GATEWAY_BRIDGE,
        f"{_BRIDGE}.enable_icc": "false",
        f"{_BRIDGE}.enable_ip_masquerade": "true",
        BINDING: address,
    }
    flags = [part for key, value in options.items() for part in ("--opt", f"{key}={value}")]
    remove = f"! docker network inspect {GATEWAY_BRIDGE} >/dev/null 2>&1 || docker network rm {GATEWAY_BRIDGE}"
    return (
        Step(
            f"have the ports of a Swarm's services listen at {address}",
            "a service has no say in it, and Docker's own choice is every address of the machine",
            SwarmPortsBound(address),
            (
                # Which fails while services use it: `docker swarm leave` comes first then.
                Command((*prefix, "sh", "-c", remove)),
                Command((*prefix, "docker", "network", "create", *flags, GATEWAY_BRIDGE)),
            ),
        ),
    )


def render_cloud_config(template: str) -> str:
    """Return the user data that makes a new Ubuntu machine install Docker at its first boot."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(template).render(host=HOST, key=KEY, source=SOURCE, packages=PACKAGES)


def _plan_packages(machine: Machine, source: Source) -> tuple[Step, ...]:
    if machine.has_docker:
        return _install_mmdebstrap(machine), _install_docker(machine, (), origin="it is there already")
    return _plan_docker(machine) if source is Source.DOCKER else _plan_distro(machine)


def _plan_docker(machine: Machine) -> tuple[Step, ...]:
    url = f"https://{HOST}/linux/{machine.release.system}"
    listing = _list_source(machine, url)
    return (
        Step(
            "install ca-certificates",
            "apt and the download of the key trust Docker's server by them",
            PackagesInstalled(("ca-certificates",)),
            _install(machine, ("ca-certificates",)),
        ),
        Step(
            f"fetch the key of {HOST}",
            "apt verifies Docker's packages with it",
            FileExists(KEY),
            (
                _as_root(machine, "install", "-m", "0755", "-d", str(KEY.parent)),
                Command((*machine.prefix, "install", "-m", "0644", "/dev/stdin", str(KEY)), url=f"{url}/gpg"),
            ),
        ),
        Step(
            f"add {HOST} to apt's sources",
            "Docker's own packages come from there",
            SourceListed(SOURCE, listing, HOST),
            (Command((*machine.prefix, "install", "-m", "0644", "/dev/stdin", str(SOURCE)), text=listing),),
        ),
        # Not before now: what was there stays until its successor can be fetched.
        _remove_packages(machine, CONFLICTS),
        _install_mmdebstrap(machine),
        _install_docker(machine, PACKAGES, origin="from Docker's own repository"),
    )


def _plan_distro(machine: Machine) -> tuple[Step, ...]:
    release = machine.release
    if not release.packages:
        raise HostError(
            f"{release}'s own Docker packages are too old (Engine {RECENT.engine} and Compose {RECENT.compose} are "
            "needed). Use Docker's repository: invoke provision --source docker"
        )
    return (
        _remove_packages(machine, PACKAGES),
        _install_mmdebstrap(machine),
        _install_docker(machine, release.packages, origin=f"from {release}'s own archive"),
    )


def _install_docker(machine: Machine, packages: tuple[str, ...], *, origin: str) -> Step:
    apparmor = ("apparmor",) if machine.has_apparmor else ()
    return Step(
        "install Docker Engine, Compose and Buildx",
        f"functions and broker run in containers; {origin}",
        RECENT,
        _install(machine, (*packages, *apparmor)) if packages else (),
        diagnosis=Command(("docker", "version")),
    )


def _install_mmdebstrap(machine: Machine) -> Step:
    return Step(
        "install mmdebstrap",
        "it builds base images where no image registry can be reached",
        MMDEBSTRAP,
        _install(machine, MMDEBSTRAP.names),
    )


def _remove_packages(machine: Machine, names: tuple[str, ...]) -> Step:
    present = tuple(name for name in names if name in machine.installed)
    return Step(
        "remove conflicting packages",
        "they hold the same programs; images, containers and volumes are kept",
        PackagesAbsent(names),
        (_apt(machine, "remove", "--yes", *present),) if present else (),
        removes=present,
        # Anybody outside group docker is told of none.
        running=_as_root(machine, "docker", "ps", "--format", "{{.Names}}"),
    )


def _plan_engine(machine: Machine) -> tuple[Step, ...]:
    reason = "it runs the containers"
    if machine.has_systemd:
        command = _as_root(machine, "systemctl", "enable", "--now", "docker")
        diagnosis = _as_root(machine, "journalctl", "--unit", "docker", "--lines", "20", "--no-pager")
        return (Step("start Docker Engine", reason, EngineRuns(), (command,), wait=60, diagnosis=diagnosis),)
    # The init script sets a ulimit that containers may not set, so the engine is started directly, in a session of
    # its own that outlives this one.
    command = _as_root(machine, "setsid", "--fork", "sh", "-c", f"exec dockerd </dev/null >>{LOG} 2>&1")
    diagnosis = _as_root(machine, "tail", "-n", "20", str(LOG))
    return (
        _forget_pid(machine, PurePosixPath("/var/run/docker.pid"), program="dockerd"),
        _forget_pid(machine, PurePosixPath("/var/run/docker/containerd/containerd.pid"), program="containerd"),
        Step(
            "start Docker Engine", f"{reason}; without systemd", EngineRuns(), (command,), wait=60, diagnosis=diagnosis
        ),
    )


def _forget_pid(machine: Machine, path: PurePosixPath, *, program: str) -> Step:
    """A killed engine leaves its pid file, and if another process has that pid by now the engine does not start."""
    return Step(
        f"remove a pid file that a killed {program} left",
        "the engine would take another process for its own",
        PidIsOf(path, program),
        (_as_root(machine, "rm", "-f", str(path)),),
    )


def _plan_user(machine: Machine) -> tuple[Step, ...]:
    if not machine.user:
        return ()
    membership = UserInGroup(machine.user, "docker")
    return (
        Step(
            f"add {machine.user} to group docker",
            "Docker without sudo (which makes them as powerful as root)",
            AnyOf((EngineIsOpen(), membership)) if machine.prefix else membership,
            (
                _as_root(machine, "groupadd", "--system", "--force", "docker"),
                _as_root(machine, "usermod", "--append", "--groups", "docker", machine.user),
            ),
        ),
    )


def _list_source(machine: Machine, url: str) -> str:
    fields = {
        "Types": "deb",
        "URIs": url,
        "Suites": machine.release.codename,
        "Components": "stable",
        "Architectures": machine.architecture,
        "Signed-By": str(KEY),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _install(machine: Machine, packages: tuple[str, ...]) -> tuple[Command, ...]:
    # --no-remove: nothing goes that was not named before.
    options = ("--yes", "--no-remove", "--no-install-recommends")
    return _apt(machine, "update"), _apt(machine, "install", *options, *packages)


def _apt(machine: Machine, *arguments: str) -> Command:
    environment = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=a")
    return _as_root(machine, *environment, "apt-get", "--option", "DPkg::Lock::Timeout=300", *arguments)


def _as_root(machine: Machine, *arguments: str) -> Command:
    return Command((*machine.prefix, *arguments))
