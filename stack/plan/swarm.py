"""Docker Swarm: what its stack file has that Compose's has not, and what Swarm cannot do."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.config.settings import Settings
from stack.errors import ConfigError
from stack.plan.account import erlang_cookie
from stack.plan.bridge import AUTHORITIES
from stack.plan.bridge import FOLDER as AUTHORITIES_FOLDER
from stack.plan.broker_data import name_volume
from stack.plan.function import FunctionPlan, processor_document, service_name
from stack.plan.gateway import CONFIGURATION, CONFIGURATION_PORT
from stack.plan.gateway import FOLDER as LOGIN_FOLDER
from stack.plan.gateway import MOUNTED as LOGIN_MOUNTED
from stack.plan.image import digest
from stack.plan.inputs import Inputs
from stack.plan.secret import Mount
from stack.plan.stack import Service, is_nuclio
from stack.plan.tls import CERTIFICATE, KEY, REVOKED_SUFFIX
from stack.plan.tls import FOLDER as TLS_FOLDER
from stack.plan.tls import MOUNTED as TLS_MOUNTED

SWARM = "swarm.yaml"
# Of containers: where the stack's files are, and the name of their image, which Docker tells by its digest.
FOLDER_LABEL, IMAGE_LABEL = "io.tidegate.folder", "io.tidegate.image"
# Before a project's name: of the machine that has its workspace.
WORKSPACE_LABEL = "io.tidegate.workspace."
# And of each machine that has a node of the broker, its number.
NODE_LABEL = "io.tidegate.broker."
# Below .stack/, the secret by which nodes know each other; and what each node has.
COOKIE_FILE = "secrets/erlang.cookie"
_DEFINITIONS, _CONFIGURATION = "rabbitmq/definitions/", "/etc/rabbitmq"
_NODE_FILES = {
    "rabbitmq/enabled_plugins": f"{_CONFIGURATION}/enabled_plugins",
    "rabbitmq/rabbitmq.conf": f"{_CONFIGURATION}/conf.d/20-tidegate.conf",
    "rabbitmq/advanced.config": f"{_CONFIGURATION}/advanced.config",
    f"{_DEFINITIONS}10-users.json": f"{_CONFIGURATION}/definitions/10-users.json",
    f"{_DEFINITIONS}30-policies.json": f"{_CONFIGURATION}/definitions/30-policies.json",
}
# By which it is known of a machine at which address it publishes ports.
BIND_LABEL = "io.tidegate.bind"
# What Kubernetes calls what Swarm knows of each machine by itself.
_KNOWN_LABELS = {
    "kubernetes.io/hostname": "node.hostname",
    "kubernetes.io/os": "node.platform.os",
    "kubernetes.io/arch": "node.platform.arch",
}
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_LABEL, _VALUE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]+"), re.compile(r"[A-Za-z0-9_.:-]+")
_CONDITIONS = {"no": "none", "on-failure": "on-failure"}
# Characters of a service's name, with the project's before it, and of the longest that a project has of its own.
_LONGEST, _LONGEST_OWN = 63, 34
_KINDS = ("configs", "secrets")
# What the gateway has of its files, by a word for each, and what gives all of them their configuration.
_GATEWAY_CONFIGS = {
    "configuration": "gateway/haproxy.cfg",
    "hold": "gateway/hold.lua",
    "serve": "gateway/serve.cfg",
    "start": "gateway/start.sh",
}
# One is there also while the machine of the other is gone.
CONFIGURATION_REPLICAS = 2


@dataclass(frozen=True)
class SwarmFile:
    """A config or a secret, which never changes: `key` has a digest of its content, `path` is below .stack/."""

    key: str
    path: str
    target: str
    is_secret: bool = True


def describe_swarm(
    inputs: Inputs, broker: Mapping[str, bytes], *, gateway: Mapping[str, bytes], mounted: str
) -> dict[str, Any]:
    """Return what the template of the stack file needs that that of Compose does not.

    `broker` and `gateway` are their rendered files, `mounted` has copies of secrets.
    """
    settings, nodes = inputs.settings, list_node_files(inputs, broker)
    own = {name: _find_config(path, gateway) for name, path in _GATEWAY_CONFIGS.items()}
    login = _list_gateway_secrets(inputs)
    deployed = [one for one in inputs.services if one.is_deployed]
    return {
        "on_workspace": f"node.labels.{WORKSPACE_LABEL}{settings.project} == true",
        "control_subnet": settings.swarm.find_subnet(settings.project),
        "folder_label": FOLDER_LABEL,
        "image_label": IMAGE_LABEL,
        "node_files": nodes,
        "node_command": _write_node_command(inputs),
        "node_volume": name_volume(inputs.base_images, inputs.cluster) if settings.broker.nodes > 1 else "",
        "place_node": lambda number: f"node.labels.{NODE_LABEL}{settings.project} == {number}",
        "gateway_configs": own,
        "gateway_secrets": login,
        "configuration": CONFIGURATION,
        "configuration_port": CONFIGURATION_PORT,
        "configuration_replicas": CONFIGURATION_REPLICAS,
        "files": sorted(
            [*own.values(), *login, *nodes, *_list_function_files(deployed, mounted)], key=lambda one: one.key
        ),
        "name_secret": name_secret,
        "name_configuration": name_configuration,
        "describe_limits": _describe_limits,
        "list_constraints": list_constraints,
        "find_condition": lambda one: _CONDITIONS.get(one.plan.spec.platform.attributes.restart_policy.name, "any"),
    }


def _find_config(path: str, files: Mapping[str, bytes]) -> SwarmFile:
    key = f"{path.replace('/', '-')}-{digest([files[path]])}"
    return SwarmFile(key, path, f"/etc/tidegate/{path}", is_secret=False)


def _list_gateway_secrets(inputs: Inputs) -> list[SwarmFile]:
    """Return the logins that the gateway knows, and its certificate; it runs on every machine."""
    login = inputs.gateway_login
    files = [
        SwarmFile(f"gateway-{name}-{login.version}", f"{LOGIN_MOUNTED}/{name}", f"{LOGIN_FOLDER}/{name}")
        for name in login.files
    ]
    if inputs.settings.tls.is_on:
        files += [
            SwarmFile(f"{name}-{digest([inputs.certificate.version])}", f"{TLS_MOUNTED}/{name}", f"{TLS_FOLDER}/{name}")
            for name in (CERTIFICATE, KEY)
        ]
    return files


def _write_node_command(inputs: Inputs) -> str:
    """Return the shell's line that starts a node with its cookie."""
    is_registry = inputs.base_images.is_registry
    owner = "-o rabbitmq -g rabbitmq " if is_registry else ""
    start = "docker-entrypoint.sh rabbitmq-server" if is_registry else "/usr/lib/rabbitmq/bin/rabbitmq-server"
    return f"install -m 400 {owner}/run/{COOKIE_FILE} /var/lib/rabbitmq/.erlang.cookie && exec {start}"


def list_node_files(inputs: Inputs, broker: Mapping[str, bytes]) -> list[SwarmFile]:
    """Return what each node of a broker of several has, of which only one is where the workspace is.

    They begin with Tidegate's own account and the policies: all else `up` makes while they run, and tells them which
    certificates are revoked.
    """
    if inputs.settings.broker.nodes == 1:
        return []
    cookie = erlang_cookie(inputs.accounts.key).get_secret_value()
    found = [SwarmFile(f"broker-cookie-{digest([cookie])}", COOKIE_FILE, f"/run/{COOKIE_FILE}")]
    for path, target in _NODE_FILES.items():
        name, is_secret = path.rpartition("/")[2], path.startswith(_DEFINITIONS)
        found.append(SwarmFile(f"broker-{name}-{digest([broker[path]])}", path, target, is_secret=is_secret))
    certificate = inputs.certificate.files if inputs.settings.tls.is_on else ()
    for name, version in (one for one in certificate if not one[0].endswith(REVOKED_SUFFIX)):
        found.append(SwarmFile(f"broker-{name}-{version}", f"{TLS_MOUNTED}/{name}", f"{TLS_FOLDER}/{name}"))
    for name, version in inputs.authorities:
        path, target = f"{AUTHORITIES}/{name}", f"{AUTHORITIES_FOLDER}/{name}"
        found.append(SwarmFile(f"broker-{name}-{version}", path, target, is_secret=False))
    return found


def _list_function_files(services: Iterable[Service], mounted: str) -> Iterator[SwarmFile]:
    for one in services:
        for mount in one.mounts:
            yield SwarmFile(name_secret(one, mount), f"{mounted}/{mount.file}", mount.target)
        if one.runs_as_is:
            path = f"functions/{one.plan.name}/processor.yaml"
            yield SwarmFile(name_configuration(one), path, "", is_secret=False)


def name_secret(service: Service, mount: Mount) -> str:
    """Name a secret of Swarm by what changes with its content, and does not tell it."""
    return f"secret-{digest([service.plan.name, mount.file, mount.target, service.secrets_digest])}"


def name_configuration(service: Service) -> str:
    """Name the config of an image that was made elsewhere: what the processor is told."""
    return f"processor-{digest([service.plan.name, processor_document(service.plan)])}"


def list_constraints(service: Service, on_workspace: str) -> list[str]:
    """Return which machines a function may run on: what lies on a machine is on the one that has the workspace."""
    spec = service.plan.spec
    pinned = [on_workspace] if spec.mounts or spec.claims else []
    return [*pinned, *(_constrain(key, value) for key, value in spec.node_selector.items())]


def _constrain(key: str, value: str) -> str:
    if key == "kubernetes.io/arch":
        value = _ARCHITECTURES.get(value, value)
    return f"{_KNOWN_LABELS.get(key, f'node.labels.{key}')} == {value}"


def _describe_limits(service: Service) -> str:
    cpus = f'cpus: "{service.cpus}"' if service.cpus else ""
    memory = f'memory: "{service.memory}"' if service.memory else ""
    return ", ".join(filter(None, (cpus, memory, f"pids: {service.pids}")))


def select_services(
    document: Mapping[str, Any], scales: Mapping[str, int], *, images: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """Return a stack file of some services: with as many containers of each, images by digest, and whole paths."""
    chosen = {name: _pin(document["services"][name], scales[name], images=images) for name in scales}
    used = {one["source"] for service in chosen.values() for kind in _KINDS for one in service.get(kind, ())}
    files = {
        kind: {key: {"file": str(folder / one["file"])} for key, one in (document[kind] or {}).items() if key in used}
        for kind in _KINDS
    }
    return {**document, "services": chosen, **files}


def _pin(service: Mapping[str, Any], replicas: int, *, images: Mapping[str, str]) -> dict[str, Any]:
    deploy = service["deploy"] | ({"replicas": replicas} if service["deploy"]["mode"] == "replicated" else {})
    return {**service, "image": images[service["image"]], "deploy": deploy}


def check_swarm(inputs: Inputs) -> None:
    """Refuse what Docker Swarm cannot do, where the stack is to run on it.

    Raises:
        ConfigError: stack.yaml or a deployed function asks for it.
    """
    if not inputs.settings.is_swarm:
        return
    problems = [f"stack.yaml: {problem}" for problem in _find_problems(inputs)]
    problems += [
        problem for one in inputs.services if one.is_deployed for problem in _find_obstacles(one.plan, inputs.settings)
    ]
    if problems:
        raise ConfigError(problems)


def check_function(plan: FunctionPlan, settings: Settings) -> None:
    """Refuse a function that Docker Swarm cannot run, where the stack runs on it.

    Raises:
        ConfigError: it asks for what there is on one machine only.
    """
    if settings.is_swarm and (problems := list(_find_obstacles(plan, settings))):
        raise ConfigError(problems)


def _find_problems(inputs: Inputs) -> Iterator[str]:
    settings = inputs.settings
    if is_nuclio(settings):
        yield "dashboard.implementation: Nuclio's dashboard knows one machine; write tidegate with engine: swarm."
    if len(settings.project) > (most := _LONGEST - _LONGEST_OWN):
        yield f"project: Docker Swarm takes at most {most} characters, and {settings.project} has more."
    if settings.allow.devices:
        yield "allow.devices: Docker Swarm gives containers no devices; leave it out, or write engine: compose."
    if inputs.mdns_names:
        name = inputs.mdns_names[0]
        yield (
            f"tls.names: {name}: multicast DNS does not reach Docker Swarm's networks. Name the machines in your DNS; "
            "or leave the name out."
        )
    if len(set(map(settings.get_address, settings.list_ports()))) > 1:
        yield (
            f"{settings.describe_bind()} cannot be kept: Docker Swarm publishes all ports at the same address of each "
            "machine. Write one address, such as bind: 0.0.0.0, with plaintext: true where no one else is on the "
            "network."
        )


def _find_obstacles(plan: FunctionPlan, settings: Settings) -> Iterator[str]:
    spec, where = plan.spec, plan.function.document
    most = _LONGEST - len(service_name("")) - len(settings.project) - 1
    if "." in plan.name or len(plan.name) > most:
        yield (
            f"{where}: Docker Swarm's names have no dots, and with {settings.project} before it a function's has at "
            f"most {most} characters. Rename {plan.function.folder}."
        )
    if spec.security_context.fs_group is not None:
        yield f"{where}: spec.securityContext.fsGroup: a stack file of Docker Swarm has no groups; use runAsGroup."
    if spec.devices or spec.resources.has_gpus:
        yield f"{where}: Docker Swarm gives containers no devices; leave them out, or write engine: compose."
    for key, value in spec.node_selector.items():
        if not (key in _KNOWN_LABELS or _LABEL.fullmatch(key)) or not _VALUE.fullmatch(value):
            yield (
                f"{where}: spec.nodeSelector: Docker Swarm's labels have letters, digits, '-', '_' and '.', "
                f"not {key}: {value}."
            )
