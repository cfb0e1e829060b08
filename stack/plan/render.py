"""Render templates/ into the files of .stack/; a template's path is its output's path."""

import json
import posixpath
from collections.abc import Sequence

from stack.config.settings import Settings
from stack.contract import TIMEOUT_VARIABLE, parse_duration
from stack.plan import alert, bridge, grafana, image, notify, tls
from stack.plan.account import describe_accounts, describe_base_image
from stack.plan.broker import (
    MANAGEMENT_PORT,
    METRICS_PORT,
    SERVICE,
    describe_nodes,
    find_host,
    list_nodes,
    policies,
    topology,
)
from stack.plan.broker_data import name_volume
from stack.plan.device_account import DATA_FOLDER, LIMITS, LOGIN_PATH, LOGIN_PORT, LOGINS, SERVICE_LOGIN
from stack.plan.device_account import MEMORY as DEVICES_MEMORY
from stack.plan.device_account import SERVICE as DEVICES
from stack.plan.device_account import VOLUME as DEVICES_VOLUME
from stack.plan.function import FunctionPlan, declared_on_broker
from stack.plan.gateway import CONTROL as CONTROL_NETWORK
from stack.plan.gateway import FOLDER as LOGIN_FOLDER
from stack.plan.gateway import (
    MDNS,
    PORT,
    find_networks,
    render_gateway,
)
from stack.plan.gateway import MOUNTED as LOGIN_MOUNTED
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway_frontend import CONTROL_HOST, DASHBOARD, DASHBOARD_PORT
from stack.plan.inputs import HostContext, Inputs
from stack.plan.scrape import render_scrape
from stack.plan.secret import Mount
from stack.plan.stack import (
    DEFINITION_LABEL,
    FILES_LABEL,
    SECRETS_LABEL,
    Service,
    digest_services,
    is_nuclio,
    render_nuclio,
)
from stack.plan.stack_alert import render_stack_rules
from stack.plan.stack_image import (
    alertmanager_image,
    control_image,
    dashboard_image,
    gateway_image,
    rabbitmq_image,
    render_function,
    render_images,
    store_image,
    vmalert_image,
)
from stack.plan.store import FOLDER as STORE_FOLDER
from stack.plan.store import MOUNTED as STORE_MOUNTED
from stack.plan.store import PORT as STORE_PORT
from stack.plan.store import SCRAPE_FOLDER, SCRAPE_MOUNTED, store_arguments
from stack.plan.store import SERVICE as STORE
from stack.plan.store import VOLUME as STORE_VOLUME
from stack.plan.swarm import SWARM, describe_swarm
from stack.plan.template import Files, fill

COMPOSE = "compose.yaml"
# The service that decides how many containers there are.
SCALER = "scaler"
# Below .stack/, the copies of secrets that containers see.
MOUNTED = "secrets/mounted"
# Compose's profile of functions that are not deployed.
UNDEPLOYED = "undeployed"

DEFINITIONS = "rabbitmq/definitions"
# What the entrypoint of RabbitMQ's own image needs before it becomes the user rabbitmq.
_BROKER_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
# What the broker has to be started again for when it changes. Accounts are made while it runs, and functions declare
# the topology themselves.
_MOUNTED = (
    "rabbitmq/enabled_plugins",
    "rabbitmq/rabbitmq.conf",
    "rabbitmq/advanced.config",
    f"{DEFINITIONS}/10-users.json",
    f"{DEFINITIONS}/30-policies.json",
)
ACCOUNTS = f"{DEFINITIONS}/15-accounts.json"
_TOPOLOGY = f"{DEFINITIONS}/20-topology.json"
_BRIDGES = f"{DEFINITIONS}/25-bridges.json"


def render(inputs: Inputs) -> Files:
    """Render the whole tree: path below .stack/ → content. The same inputs always give the same bytes."""
    files = render_broker(inputs) | render_images(inputs) | render_nuclio(inputs.settings) | _render_gateway(inputs)
    for service in inputs.services:
        files |= render_function(service.plan, inputs)
    if inputs.settings.has_store:
        files |= render_scrape(
            inputs.settings.data,
            inputs.services,
            nodes=list_nodes(inputs.settings),
            has_vmalert=inputs.has_vmalert,
            has_devices=inputs.has_devices,
        )
    files |= _render_rules(inputs) if inputs.has_vmalert else {}
    files |= notify.render_notify(inputs.settings) if inputs.has_alertmanager else {}
    files |= grafana.render_grafana(inputs.settings) if inputs.settings.data.grafana else {}
    limits = json.dumps(dict(inputs.device_rates), indent=2, sort_keys=True).encode() + b"\n"
    files |= {LIMITS: limits} if inputs.has_devices else {}
    files[name_stack_file(inputs.settings)] = render_compose(inputs)
    return files


def name_stack_file(settings: Settings) -> str:
    """Name the file that tells the engine of all services."""
    return SWARM if settings.is_swarm else COMPOSE


def _render_gateway(inputs: Inputs) -> Files:
    return render_gateway(
        inputs.services,
        inputs.settings,
        names=inputs.home.names,
        login=inputs.gateway_login.version,
        certificate=inputs.certificate,
    )


def _render_rules(inputs: Inputs) -> Files:
    is_watched = inputs.settings.notify.is_about_stack
    own = render_stack_rules(inputs.settings, inputs.services, others=inputs.alerts) if is_watched else {}
    return {**alert.render_rules(inputs.alerts, inputs.settings), **own}


def _find_mdns_command(inputs: Inputs) -> list[str]:
    ports = inputs.settings.ports
    names = inputs.mdns_names
    return ["python3", "-m", "stack.mdns", str(ports.https), str(ports.mqtts), *names] if names else []


# What the Compose file calls the stack's own parts, whatever the settings.
_NAMES = {
    "broker": SERVICE,
    "scaler": SCALER,
    "devices": DEVICES,
    "login_port": LOGIN_PORT,
    "login_path": LOGIN_PATH,
    "device_logins": LOGINS,
    "device_limits": posixpath.dirname(LIMITS),
    "devices_login": SERVICE_LOGIN,
    "devices_memory": DEVICES_MEMORY,
    "devices_folder": DATA_FOLDER,
    "devices_volume": DEVICES_VOLUME,
    "mdns": MDNS,
    "dashboard": DASHBOARD,
    "dashboard_port": DASHBOARD_PORT,
    "gateway": GATEWAY,
    "gateway_port": PORT,
    "management_port": MANAGEMENT_PORT,
    "metrics_port": METRICS_PORT,
    "login_folder": LOGIN_FOLDER,
    "login_mounted": LOGIN_MOUNTED,
    "control_network": CONTROL_NETWORK,
    "find_networks": find_networks,
    "control_host": CONTROL_HOST,
    "files_label": FILES_LABEL,
    "definition_label": DEFINITION_LABEL,
    "secrets_label": SECRETS_LABEL,
    "mounted": MOUNTED,
    "store": STORE,
    "store_port": STORE_PORT,
    "store_volume": STORE_VOLUME,
    "store_folder": STORE_FOLDER,
    "store_mounted": STORE_MOUNTED,
    "scrape_folder": SCRAPE_FOLDER,
    "scrape_mounted": SCRAPE_MOUNTED,
    "undeployed": UNDEPLOYED,
    "tls": tls,
    "bridge": bridge,
}


def render_compose(inputs: Inputs) -> bytes:
    """Render the Compose file alone, or that of Swarm in its place."""
    context = _NAMES | _describe_stack(inputs) | _describe_images(inputs) | _describe_readings(inputs)
    if inputs.settings.is_swarm:
        context |= describe_swarm(inputs, render_broker(inputs), gateway=_render_gateway(inputs), mounted=MOUNTED)
    path = name_stack_file(inputs.settings)
    # Twice, since each service has a digest of itself among its labels.
    without_digests = fill(path, context | {"definitions": {}})
    return fill(path, context | {"definitions": digest_services(without_digests)})


def _describe_stack(inputs: Inputs) -> dict[str, object]:
    """Return what the templates ask about the stack itself, its broker and its functions."""
    settings, services = inputs.settings, inputs.services
    return {
        "settings": settings,
        "nodes": list_nodes(settings),
        "broker_alias": find_host(settings),
        "broker_environment": describe_nodes(settings),
        "services": services,
        "dockerfiles": {one.plan.name: _find_dockerfile(one.plan, inputs.home) for one in services},
        "broker_capabilities": _BROKER_CAPABILITIES if inputs.base_images.is_registry else (),
        "has_scaler": inputs.has_scaler,
        "has_devices": inputs.has_devices,
        "mdns_command": _find_mdns_command(inputs),
        "is_nuclio": is_nuclio(settings),
        "home": inputs.home,
        "timeout_environment": {TIMEOUT_VARIABLE: f"{parse_duration(settings.defaults.event_timeout):g}"},
        "claims": sorted({name for one in services for name in one.plan.claims}),
        # What the dashboard reads when it starts.
        "login": image.digest([inputs.login, settings.dashboard.model_dump_json(), *_describe_guard(inputs)]),
        "files_digest": files_digest(render_broker(inputs)),
        "secrets": sorted({mount.file for mount in used_secrets(services)}),
    }


def _describe_images(inputs: Inputs) -> dict[str, object]:
    """Return the images of all but the functions."""
    return {
        "control_image": control_image(inputs),
        "dashboard_image": dashboard_image(inputs),
        "gateway_image": gateway_image(inputs),
        "rabbitmq_image": rabbitmq_image(inputs),
        "rabbitmq_volume": name_volume(inputs.base_images),
        "base_images": inputs.base_images,
        "is_registry": inputs.base_images.is_registry,
    }


def _describe_readings(inputs: Inputs) -> dict[str, object]:
    """Return what the templates ask about the store of readings and what goes by it; images only of what there is."""
    settings = inputs.settings
    return {
        "has_store": settings.has_store,
        "store_image": store_image(inputs) if settings.has_store else "",
        "store_arguments": store_arguments(settings.data),
        "has_vmalert": inputs.has_vmalert,
        "vmalert_image": vmalert_image(inputs) if inputs.has_vmalert else "",
        "has_alertmanager": inputs.has_alertmanager,
        "alertmanager_image": alertmanager_image(inputs) if inputs.has_alertmanager else "",
        "notify_digest": notify.notify_digest(settings) if inputs.has_alertmanager else "",
        "grafana_image": image.grafana_base(settings, inputs.base_images) if settings.data.grafana else "",
        "grafana_digest": grafana.grafana_digest(settings) if settings.data.grafana else "",
        "grafana": grafana,
        "alert": alert,
        "notify": notify,
    }


def _describe_guard(inputs: Inputs) -> tuple[str, ...]:
    """Return what else the dashboard goes by from its start, where its port with TLS may be open and its own is not."""
    if not inputs.settings.tls.is_on:
        return ()
    return (str(inputs.settings.has_dashboard_login), *inputs.settings.tls.names, *inputs.certificate.names)


def _find_dockerfile(plan: FunctionPlan, home: HostContext) -> str:
    """Return where a function's Dockerfile is, seen from the folder of its code, wherever that is."""
    root = home.workspace or "/"
    file = f"{root}/.stack/functions/{plan.name}/Dockerfile"
    return posixpath.relpath(file, f"{root}/{plan.function.context}")


def render_broker(inputs: Inputs) -> Files:
    """Render the files that the broker mounts."""
    deployed = [service for service in inputs.services if service.is_deployed]
    declared = [one for service in deployed for one in declared_on_broker(service.plan)]
    context = _NAMES | {
        "settings": inputs.settings,
        "nodes": list_nodes(inputs.settings),
        "is_guest": inputs.accounts.current.is_guest,
        "foundation": describe_base_image(inputs.accounts.key, inputs.settings.broker.nodes).rstrip(),
        "accounts": describe_accounts(
            inputs.accounts, [one.plan for one in deployed], settings=inputs.settings
        ).rstrip(),
        "topology": topology(declared, is_replicated=inputs.settings.broker.nodes > 1).rstrip(),
        "policies": policies(inputs.settings).rstrip(),
        "has_deprecated_features": inputs.base_images.is_registry or inputs.base_images.archive.has_deprecated_features,
    }
    files = {path: fill(path, context) for path in (*_MOUNTED, ACCOUNTS, _TOPOLOGY)}
    if inputs.settings.bridge:
        exchanges = {one.exchange: one.is_durable_exchange for one in declared}
        text = bridge.render_bridges(
            inputs.settings, inputs.accounts.key, contents=inputs.bridge_accounts, exchanges=exchanges
        )
        files[_BRIDGES] = text.encode()
    return files


def files_digest(files: Files) -> str:
    """Return a digest of the files for which the broker has to be started again when they change."""
    return image.digest([files[path] for path in _MOUNTED])


def used_secrets(services: Sequence[Service]) -> list[Mount]:
    """List the secrets that containers see."""
    return sorted({mount for service in services for mount in service.mounts}, key=lambda mount: mount.file)
