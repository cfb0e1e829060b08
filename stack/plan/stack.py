"""The services of the stack, as data for the Compose template."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import yaml

from stack.config.container import RestartPolicy
from stack.config.function import FUNCTION_LABEL, PROJECT_LABEL
from stack.config.network import Bind
from stack.config.settings import Implementation, Processor, Settings
from stack.config.value import cpus, memory_bytes
from stack.contract import parse_duration
from stack.errors import ConfigError
from stack.plan.base_image import chosen_processor
from stack.plan.broker import Credentials, describe_nodes
from stack.plan.code_entry import runs_as_is
from stack.plan.dockerfile import split_commands
from stack.plan.function import FunctionPlan, processor_document
from stack.plan.host_access import check_host_access, read_user
from stack.plan.image import digest
from stack.plan.scale import Limits, choose_replicas, find_limits
from stack.plan.secret import Mount, Vault, find_mounts
from stack.plan.template import fill

_REPOSITORY = "quay.io/nuclio/dashboard"
_PLATFORM = "nuclio/platform.yaml"


def is_nuclio(settings: Settings) -> bool:
    """Return whether the dashboard is Nuclio's."""
    return settings.dashboard.implementation is Implementation.NUCLIO


def nuclio_image(settings: Settings, architecture: str) -> str:
    """Name the image of Nuclio's dashboard, which has a tag for each architecture."""
    return f"{_REPOSITORY}:{settings.images.nuclio}-{architecture}"


def render_nuclio(settings: Settings) -> dict[str, bytes]:
    """Render what Nuclio's dashboard mounts; nothing where it is not wanted."""
    return {_PLATFORM: fill(_PLATFORM, {"settings": settings})} if is_nuclio(settings) else {}


# Labels by which a container is found again, and by which a change is seen that Compose does not see.
_LABELS = "io.tidegate."
FILES_LABEL = f"{_LABELS}files"
SECRETS_LABEL = f"{_LABELS}secrets"
DEFINITION_LABEL = f"{_LABELS}definition"
# What Compose starts no other container for.
_INDIFFERENT = ("scale", "build", "depends_on")
# User and group of the image of functions.
NUMBER_OF_USER = "65532:65532"
# What Docker waits for after SIGTERM, beyond the longest wait of a worker.
_GRACE_MARGIN = 5


@dataclass(frozen=True)
class Service:
    """A function's service."""

    plan: FunctionPlan
    image: str
    is_deployed: bool
    secrets_digest: str
    mounts: tuple[Mount, ...] = ()
    port: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    cpus: str = ""
    memory: int = 0
    pids: int = 0
    grace: int = 15
    restart: str = "unless-stopped"
    environment: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    is_own: bool = False
    """Whether it is a part of the stack itself, which is not deployed or deleted by itself."""

    @property
    def runs_as_is(self) -> bool:
        """Return whether the image was built elsewhere, so that the processor has to be told by a mounted file."""
        return self.image == self.plan.spec.image

    @property
    def alias(self) -> str:
        """Return the host name by which Nuclio's call_function reaches it."""
        return f"nuclio-{self.plan.namespace}-{self.plan.name}"

    @property
    def is_routed(self) -> bool:
        """Return whether the gateway leads to it."""
        return self.plan.is_routed

    @property
    def limits(self) -> Limits:
        """Return how many containers there may be."""
        return find_limits(self.plan.spec)

    @property
    def labels(self) -> dict[str, str]:
        """Return Nuclio's labels, the author's, and Tidegate's; by the first and the last containers are found."""
        own = {
            "nuclio.io/platform": "local",
            "nuclio.io/namespace": self.plan.namespace,
            FUNCTION_LABEL: self.plan.name,
            PROJECT_LABEL: self.plan.project,
        }
        given = self.plan.function.config.metadata.labels.items()
        return {
            **(own if not self.is_own else {}),
            **{name: value for name, value in given if name not in own and not name.startswith(_LABELS)},
            SECRETS_LABEL: self.secrets_digest,
            **({FILES_LABEL: digest([processor_document(self.plan)])} if self.runs_as_is else {}),
        }


def plan_service(
    plan: FunctionPlan,
    settings: Settings,
    *,
    image: str,
    vault: Vault,
    is_deployed: bool,
    kept_replicas: int | None = None,
) -> Service:
    """Turn a function into its service; `kept_replicas` is how many its user, or the scaler, has asked for.

    Raises:
        AccessError: it asks for what stack.yaml does not allow it of this machine.
        ConfigError: several containers cannot have what they share, or a secret's name is none.
    """
    check_host_access(plan.function, settings)
    _check_port(plan)
    spec, limits, mounts = plan.spec, plan.spec.resources.limits, find_mounts(plan, vault)
    return Service(
        plan=plan,
        image=image,
        is_deployed=is_deployed,
        secrets_digest=vault.digest(mounts),
        mounts=mounts,
        port=_published(plan.port, settings.get_address("gateway")),
        user=choose_user(plan, settings),
        groups=(str(group),) if (group := spec.security_context.fs_group) is not None else (),
        cpus=cpus(limits.get("cpu", "")),
        memory=memory_bytes(limits.get("memory", settings.defaults.memory)),
        pids=settings.defaults.pids,
        grace=_longest_wait(plan) + _GRACE_MARGIN,
        restart=_restart(spec.platform.attributes.restart_policy),
        environment={
            **{item.name: item.value for item in spec.env if item.value_from is None},
            **describe_nodes(settings),
        },
        replicas=choose_replicas(spec, kept_replicas),
    )


def check_exposure(settings: Settings, credentials: Credentials, *, has_login: bool) -> None:
    """Refuse to offer other machines the account that everybody knows, a dashboard without a login, or no TLS.

    Nuclio's dashboard, which has no login, is never offered to them.

    Raises:
        ConfigError: `bind` is wider than this machine, and something of that is so.
    """
    if settings.is_local and settings.has_dashboard_login and not has_login:
        problem = (
            "stack.yaml: dashboard.login: always needs a login. Type `invoke credentials --dashboard`, then this again."
        )
        raise ConfigError([problem])
    problems = [*_list_missing_logins(settings, credentials, has_login=has_login), *_list_plain(settings)]
    if problems:
        raise ConfigError([f"stack.yaml: {settings.describe_bind()} {one}" for one in problems])


def _list_missing_logins(settings: Settings, credentials: Credentials, *, has_login: bool) -> Iterator[str]:
    is_guarded = has_login or is_nuclio(settings) or not settings.has_dashboard_login
    if settings.is_local or (is_guarded and not credentials.is_guest):
        return
    option = "" if credentials.is_guest else " --dashboard"
    what = "log in as guest/guest" if credentials.is_guest else "deploy functions without a login"
    yield (
        f"lets other machines {what}. "
        f"Type `invoke credentials{option}` to make a password, then this again; or set bind to 127.0.0.1."
    )


def _list_plain(settings: Settings) -> Iterator[str]:
    if settings.plaintext or not (ports := settings.open_plain_ports):
        return
    if isinstance(settings.bind, Bind):
        yield (
            f"lets other machines use {', '.join(ports)} without TLS, so that what is sent, passwords too, can be read "
            "on its way. Write `tls: {enabled: true}` and bind the ports with TLS, such as `bind: {mqtts: 0.0.0.0, "
            "https: 0.0.0.0}`; or `plaintext: true`, where no one else is on the network."
        )
        return
    yield (
        "lets other machines in without TLS, so that what is sent, passwords too, can be read on its way. "
        "Write `tls: {enabled: true}`, and they use mqtts, amqps and https instead; or `plaintext: true`, where no one "
        "else is on the network."
    )


def _published(port: int, bind: IPv4Address) -> str:
    """Return Compose's port mapping of the port in the attributes; all other functions are behind the gateway."""
    return f"{bind}:{port}:8080" if port else ""


def _check_port(plan: FunctionPlan) -> None:
    """Refuse several containers with one port of this machine, which only one of them can have.

    Raises:
        ConfigError: that is what is asked for.
    """
    if plan.port and (find_limits(plan.spec).is_automatic or choose_replicas(plan.spec, None) > 1):
        problem = f"only one container can have the port {plan.port}; leave it out, the gateway leads to all of them"
        raise ConfigError([f"{plan.function.document}: spec.triggers: attributes.port: {problem}"])


def choose_user(plan: FunctionPlan, settings: Settings) -> str:
    """Return as whom a function runs, in numbers: what an image says of its user may be a name for root.

    Where functions may be root, an image that was not made here, or whose author sets its user, has its own way.
    """
    security, build = plan.spec.security_context, plan.spec.build
    if (user := security.run_as_user) is not None:
        return f"{user}:{user if security.run_as_group is None else security.run_as_group}"
    last = next((one.value for one in reversed(split_commands(build)[1]) if one.kind.upper() == "USER"), "")
    has_own_user = bool(last) or runs_as_is(plan.function) or _is_nuclio_processor(plan, settings)
    if settings.allow.root and has_own_user:
        return ""
    chosen, _, group_chosen = (read_user(last) or NUMBER_OF_USER).partition(":")
    group = security.run_as_group
    return f"{chosen}:{group_chosen if group is None else group}"


def _is_nuclio_processor(plan: FunctionPlan, settings: Settings) -> bool:
    return chosen_processor(plan.function.config, settings) is Processor.NUCLIO


def _restart(policy: RestartPolicy) -> str:
    counts = policy.name == "on-failure" and policy.maximum_retry_count
    return f"{policy.name}:{policy.maximum_retry_count}" if counts else policy.name


def _longest_wait(plan: FunctionPlan) -> int:
    waits = (parse_duration(trigger.worker_termination_timeout) for trigger in plan.triggers.values())
    return math.ceil(max(waits, default=10))


def digest_services(compose: bytes) -> dict[str, str]:
    """Return a digest of each service of a Compose file: containers of another one are to be replaced."""
    services = yaml.load(compose, yaml.CSafeLoader)["services"]
    return {name: digest([json.dumps(_strip(one), sort_keys=True)]) for name, one in services.items()}


def _strip(service: dict[str, Any]) -> dict[str, Any]:
    deploy = {key: value for key, value in service.get("deploy", {}).items() if key != "replicas"}
    kept = {key: value for key, value in service.items() if key not in (*_INDIFFERENT, "deploy")}
    return kept | ({"deploy": deploy} if deploy else {})


def find_definitions(compose: bytes) -> dict[str, str]:
    """Return those digests as a rendered file has them among its labels, of the services that are to be started."""
    services = yaml.load(compose, yaml.CSafeLoader)["services"]
    return {name: one["labels"][DEFINITION_LABEL] for name, one in services.items() if "profiles" not in one}
