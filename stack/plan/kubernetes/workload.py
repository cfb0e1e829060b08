"""A function as a Deployment: what its container is given there, of what Compose gives it here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stack.config.allow import GPU
from stack.config.function import FUNCTION_LABEL, PROJECT_LABEL
from stack.config.settings import Settings
from stack.config.value import cpus, memory_bytes
from stack.contract import HTTP_PORT, NODES_VARIABLE, TIMEOUT_VARIABLE, parse_duration
from stack.plan.broker import BROKER_SECRET, MQTT_SECRET, describe_nodes
from stack.plan.function import processor_document
from stack.plan.gateway import find_guard
from stack.plan.image import digest
from stack.plan.kubernetes.name import choose_labels, is_service_name, is_variable, make_name, name_claim
from stack.plan.scale import Targets, read_targets
from stack.plan.secret import Mount
from stack.plan.stack import Service

# By which a Deployment, a Service and policies find the pods of a function, and of all functions.
NAME_LABEL, COMPONENT_LABEL = "app.kubernetes.io/name", "app.kubernetes.io/component"
_LABELS = "tidegate.io/"
FUNCTION, ROUTED_LABEL = "function", f"{_LABELS}routed"
# Seconds for which a pod goes on as if nothing were, after it was told to end: until no one sends it anything more.
DRAIN_SECONDS = 5
# What a pod is counted for where its author says nothing: Compose reserves nothing for a container.
_REQUESTS = {"cpu": "50m", "memory": "128Mi"}
_MEASURES: Mapping[str, Callable[[str], float]] = {"cpu": lambda text: float(cpus(text) or 0), "memory": memory_bytes}
_PULL_POLICIES = ("IfNotPresent", "Always", "Never")
_READY_SECONDS, _PULL_SECONDS = 120, 60
_LIVE_SECONDS = 15


@dataclass(frozen=True)
class Workload:
    """A function's Deployment, and what is beside it; `image` is its image as a cluster can pull it."""

    service: Service
    image: str
    settings: Settings

    @property
    def name(self) -> str:
        """Return the name of its objects."""
        return make_name(self.service.plan.name, "function-")

    @property
    def alias(self) -> str:
        """Return the Service by which Nuclio's call_function looks for it; nothing where none can be called so."""
        alias = self.service.alias.lower()
        return alias if is_service_name(alias) else ""

    @property
    def selector(self) -> dict[str, str]:
        """Return the labels that its pods are found by, which never change."""
        return {NAME_LABEL: self.name, COMPONENT_LABEL: FUNCTION}

    @property
    def claims(self) -> set[str]:
        """Return the PersistentVolumeClaims that its pods have."""
        found = (item.volume.persistent_volume_claim for item in self.service.plan.spec.claims)
        return {name_claim(one.claim_name) for one in found if one}

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of its pods: Nuclio's and its author's among them."""
        plan = self.service.plan
        # An author's label may open no way in.
        given = {key: one for key, one in plan.function.config.metadata.labels.items() if not key.startswith(_LABELS)}
        own = {FUNCTION_LABEL: plan.name, PROJECT_LABEL: plan.project, **given}
        routed = {ROUTED_LABEL: "true"} if self.is_routed else {}
        return {**choose_labels(own), **self.selector, **routed}

    @property
    def is_routed(self) -> bool:
        """Return whether requests from outside are led to it: not where a login is asked for, which no route has."""
        return self.service.is_routed and not find_guard(self.service.plan, self.settings).is_needed

    @property
    def replicas(self) -> int:
        """Return how many pods there are where nothing decides it by their load."""
        limits = self.service.limits
        return max(1, limits.least) if limits.is_automatic else self.service.replicas

    @property
    def most(self) -> int:
        """Return how many pods there may be at once, but for those of an update."""
        limits = self.service.limits
        return limits.most if limits.is_automatic else self.service.replicas

    @property
    def is_recreated(self) -> bool:
        """Return whether an old pod ends before a new one starts: one node at a time can have most volumes."""
        return bool(self.service.plan.claims)

    @property
    def deadline_seconds(self) -> int:
        """Return after how long an update is told to have failed: that of its readiness, and a pull of its image."""
        return (self.service.plan.spec.readiness_timeout_seconds or _READY_SECONDS) + _PULL_SECONDS

    @property
    def live_seconds(self) -> int:
        """Return how often it is asked whether it lives."""
        interval = self.service.plan.spec.platform.attributes.health_check_interval
        return max(1, round(parse_duration(interval))) if interval else _LIVE_SECONDS

    @property
    def drain_seconds(self) -> int:
        """Return for how long it takes requests after it was told to end."""
        return DRAIN_SECONDS if self.service.plan.http else 0

    @property
    def grace_seconds(self) -> int:
        """Return after how long it is killed that was told to end."""
        return self.service.grace + self.drain_seconds

    @property
    def event_seconds(self) -> float:
        """Return the longest that an event may take; 0 is any time."""
        return parse_duration(self.service.plan.spec.event_timeout or self.settings.defaults.event_timeout)

    @cached_property
    def environment(self) -> dict[str, str]:
        """Return its variables; Kubernetes makes one dollar of two, and a value of a name behind one."""
        own = {} if self.service.plan.spec.event_timeout else {TIMEOUT_VARIABLE: f"{self.event_seconds:g}"}
        given = {name: value for name, value in self.service.environment.items() if name != NODES_VARIABLE}
        found = {**own, **given, **describe_nodes(self.settings)}
        return {name: value.replace("$", "$$") for name, value in found.items() if is_variable(name)}

    @property
    def references(self) -> list[dict[str, Any]]:
        """Return the variables that only Kubernetes can fill in: of a ConfigMap, of the pod, of its resources."""
        return [
            {"name": one.name, "valueFrom": given}
            for one in self.service.plan.spec.env
            if one.value_from and is_variable(one.name)
            if (given := one.value_from.model_dump(by_alias=True, exclude={"secret_key_ref"}, exclude_none=True))
        ]

    @property
    def config_maps(self) -> list[dict[str, Any]]:
        """Return the ConfigMaps whose keys are variables."""
        return [
            # An empty prefix is none to an API server, which would see a change at each apply.
            {**({"prefix": one.prefix} if one.prefix else {}), "configMapRef": one.config_map_ref.model_dump()}
            for one in self.service.plan.spec.env_from
            if one.config_map_ref
        ]

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        """Return what it may take, and what is kept free for it, which is never more."""
        given = self.service.plan.spec.resources
        limits = {"memory": self.settings.defaults.memory, **given.limits}
        limits = {key: value for key, value in limits.items() if key in (*_MEASURES, GPU) and _is_amount(key, value)}
        asked = {key: value for key, value in given.requests.items() if key in _MEASURES and _is_amount(key, value)}
        requests = {**_REQUESTS, **asked}
        for key, measure in _MEASURES.items():
            if key in limits and measure(limits[key]) < measure(requests[key]):
                requests[key] = limits[key]
        return {"limits": limits, "requests": requests}

    @property
    def security(self) -> dict[str, Any]:
        """Return as whom its pod runs; who gets a volume that is new."""
        user, _, group = self.service.user.partition(":")
        context: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
        if user:
            context |= {"runAsNonRoot": user != "0", "runAsUser": int(user), "runAsGroup": int(group or user)}
        given = self.service.plan.spec.security_context.fs_group
        if given is not None or (user and self.service.plan.claims):
            owner = int(group or user) if given is None else given
            context |= {"fsGroup": owner, "fsGroupChangePolicy": "OnRootMismatch"}
        return context

    @property
    def is_restricted(self) -> bool:
        """Return whether its pods meet Kubernetes' Pod Security Standard `restricted`."""
        user, _, _ = self.service.user.partition(":")
        return user not in ("", "0") and not self.service.plan.spec.mounts

    @property
    def container_security(self) -> dict[str, Any]:
        """Return what its container may do."""
        is_read_only = self.service.plan.spec.security_context.read_only_root_filesystem
        own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        return {**own, **({"readOnlyRootFilesystem": True} if is_read_only else {})}

    @property
    def pull_policy(self) -> str:
        """Return when a node pulls its image: where it is not there, unless its author says otherwise."""
        given = self.service.plan.spec.image_pull_policy
        return given if given in _PULL_POLICIES else _PULL_POLICIES[0]

    @property
    def scheduling(self) -> dict[str, Any]:
        """Return where its pods may be, as its author says in Kubernetes' words."""
        spec = self.service.plan.spec
        secrets = [{"name": spec.image_pull_secrets}] if spec.image_pull_secrets else []
        found = {
            "nodeSelector": spec.node_selector,
            "nodeName": spec.node_name,
            "affinity": spec.affinity,
            "tolerations": spec.tolerations,
            "priorityClassName": spec.priority_class_name,
            "serviceAccountName": spec.service_account,
            "imagePullSecrets": secrets,
        }
        return {key: value for key, value in found.items() if value}

    def name_secret(self, mount: Mount) -> str:
        """Return the Secret that a value is in: that of the user's name, or one of the function's own."""
        return f"{self.name}.{mount.secret.name}" if mount.function else mount.secret.name

    @property
    def has_account(self) -> bool:
        """Return whether it logs in to the broker by an account of its own."""
        keys = (BROKER_SECRET.key, MQTT_SECRET.key)
        return any(mount.function and mount.secret.key in keys for mount in self.service.mounts)

    @property
    def config_map(self) -> str:
        """Return the ConfigMap of its processor.yaml, where its image has none; another name for another content."""
        if not self.service.runs_as_is:
            return ""
        return f"{self.name}-{digest([self.processor_document])}"

    @property
    def processor_document(self) -> str:
        """Return what the processor is told."""
        return processor_document(self.service.plan)

    @property
    def targets(self) -> Targets:
        """Return what one pod is to carry."""
        return read_targets(self.service.plan.function.config)

    @property
    def port(self) -> int:
        """Return the port of its http trigger; 0 if it has none."""
        return HTTP_PORT if self.service.plan.http else 0


def _is_amount(key: str, text: str) -> bool:
    """Return whether a quantity is one, and not none."""
    try:
        return text != "0" and _MEASURES.get(key, float)(text) > 0
    except ValueError:
        return False
