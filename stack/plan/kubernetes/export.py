"""A stack's functions and broker as a Kustomize base."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stack.config.broker import Broker
from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.contract import HEALTH_PORT, METRICS_PORT
from stack.errors import ConfigError
from stack.plan.broker import MANAGEMENT_PORT
from stack.plan.broker import METRICS_PORT as BROKER_METRICS_PORT
from stack.plan.image import find_registry
from stack.plan.inputs import Inputs
from stack.plan.kubernetes import scaling
from stack.plan.kubernetes.broker import CLUSTER, KEDA, plan_cluster, plan_topology
from stack.plan.kubernetes.conflict import TOPOLOGY
from stack.plan.kubernetes.loss import find_losses
from stack.plan.kubernetes.name import choose_labels, is_namespace, is_subdomain
from stack.plan.kubernetes.scaling import Scaling, plan_scaling
from stack.plan.kubernetes.secret import NeededSecret, find_secrets
from stack.plan.kubernetes.volume import list_volumes
from stack.plan.kubernetes.workload import COMPONENT_LABEL, FUNCTION, NAME_LABEL, ROUTED_LABEL, Workload
from stack.plan.secret import Vault, find_problems
from stack.plan.stack import Service
from stack.plan.template import fill

_FOLDER = "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
# What each file begins with, by which the next export knows its own.
MARK = "# Written by `invoke export-kubernetes`; change it by an overlay, or the next export undoes it."
# How an Ingress is told to cut off the path of a function, by what the name of its class begins with.
_REWRITES = {
    "nginx": (
        "/{name}(/|$)(.*)",
        {
            "nginx.ingress.kubernetes.io/rewrite-target": "/$2",
            "nginx.ingress.kubernetes.io/x-forwarded-prefix": "/{name}",
        },
    ),
    "haproxy": (
        "/{name}",
        {
            "haproxy.org/path-rewrite": r"/{name}/?(.*) /\1",
            "haproxy.org/request-set-header": "X-Forwarded-Prefix /{name}",
        },
    ),
}
_GATEWAY_GROUP = "gateway.networking.k8s.io"
# Namespaces that no stack may make its own, since it would take them away with it.
_SHARED = ("default", scaling.KEDA_NAMESPACE)
_CLUSTER_STORE = "ClusterSecretStore"
# As images have it: a host, perhaps with a port, and lower-case names.
_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*/?")


@dataclass(frozen=True)
class Target:
    """Where an export goes: a namespace, and what the cluster has in it."""

    namespace: str
    is_own: bool = False
    """Whether the namespace is the stack's own, which comes and goes with it."""
    registry: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images that were pushed, by their names here, each with its digest."""
    gateway: str = ""
    """The Gateway that HTTPRoutes belong to, NAME or NAMESPACE/NAME."""
    ingress: str = ""
    """The class of Ingresses that take the place of HTTPRoutes."""
    nodes: int = 0
    """How many nodes the broker has; 0 is as many as stack.yaml says."""
    store: str = ""
    """The SecretStore that values of secrets come from, or ClusterSecretStore/NAME."""

    @property
    def parent(self) -> dict[str, str]:
        """Return the Gateway as a route names it, with what an API server adds: else each apply would change it."""
        namespace, _, name = self.gateway.rpartition("/")
        kind = {"group": _GATEWAY_GROUP, "kind": "Gateway"}
        return {**kind, **({"namespace": namespace} if namespace else {}), "name": name or "tidegate"}

    @property
    def store_reference(self) -> dict[str, str]:
        """Return the store as an ExternalSecret names it."""
        kind, _, name = self.store.rpartition("/")
        return {"kind": kind or "SecretStore", "name": name}

    def name_image(self, service: Service) -> str:
        """Return a function's image as the cluster is to pull it."""
        if service.image in self.images:
            return self.images[service.image]
        return service.image if service.runs_as_is else name_in_registry(service.image, self.registry)


@dataclass(frozen=True)
class Exported:
    """The files of a base by their paths, what its user must know, and the Secrets that it needs."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...]
    secrets: tuple[NeededSecret, ...]


def name_in_registry(image: str, registry: str) -> str:
    """Return the name of an image in a registry, whose host takes the place of that of another."""
    if not registry:
        return image
    host = find_registry(image)
    return f"{registry.rstrip('/')}/{image.removeprefix(f'{host}/')}"


def check_target(target: Target) -> None:
    """Refuse what no cluster could take.

    Raises:
        ConfigError: a name is none, or two options exclude each other; all are told.
    """
    problems = list(_find_mistakes(target))
    if problems:
        raise ConfigError(problems)


def _find_mistakes(target: Target) -> Iterator[str]:
    *namespaces, gateway = target.gateway.split("/")
    if target.gateway and not (len(namespaces) <= 1 and all(map(is_subdomain, (*namespaces, gateway)))):
        yield f"--gateway: should be NAME or NAMESPACE/NAME of a Gateway, not {target.gateway!r}"
    *kinds, store = target.store.split("/")
    if target.store and not (kinds in ([], [_CLUSTER_STORE]) and is_subdomain(store)):
        yield f"--external-secrets: should be the NAME of a SecretStore, or {_CLUSTER_STORE}/NAME, not {target.store!r}"
    if target.ingress and not is_subdomain(target.ingress):
        yield f"--ingress: should be the name of a class of Ingresses, such as nginx, not {target.ingress!r}"
    if target.ingress and target.gateway:
        yield "--ingress and --gateway: requests come by one of them; leave the other out"
    if target.registry and not _REGISTRY.fullmatch(target.registry):
        yield f"--registry: should be a host with a path, such as registry.example/plant, not {target.registry!r}"


def choose_namespace(given: str, settings: Settings) -> str:
    """Return the namespace that is asked for, or one that is called like the project.

    Raises:
        ConfigError: no namespace can be called so, or it is Kubernetes' own.
    """
    if given and not is_namespace(given):
        problem = f"should be at most 63 lower-case letters, digits and '-', as Kubernetes' namespaces, not {given!r}"
        raise ConfigError([f"--namespace: {problem}"])
    name = given or settings.project.replace("_", "-").strip("-")[:63].strip("-")
    if name.startswith("kube-") or (not given and name in _SHARED):
        raise ConfigError([f"--namespace: {name} is for others, too; name one that is for this stack"])
    return name


def plan_export(inputs: Inputs, vault: Vault, target: Target) -> Exported:
    """Render the base of a stack: of its functions and its broker, and nothing else of it.

    Raises:
        ConfigError: the broker cannot have so many nodes.
    """
    inputs = _choose_nodes(inputs, target.nodes)
    services = [one for one in inputs.services if not one.is_own]
    workloads = [Workload(one, target.name_image(one), inputs.settings) for one in services]
    has_route = not target.ingress
    scalings = {one.name: plan_scaling(one, target.namespace, has_route=has_route) for one in workloads}
    is_scaled = any(one and one.has_queues for one in scalings.values())
    secrets = find_secrets(workloads, inputs, vault=vault, is_scaled=is_scaled)
    context = {
        **_NAMES,
        "settings": inputs.settings,
        "target": target,
        "namespace": target.namespace,
        "project": choose_labels({"project": inputs.settings.project}).get("project", ""),
        "workloads": workloads,
        "scalings": scalings,
        "is_scaled": is_scaled,
        "is_pushed": any(one and one.has_http for one in scalings.values()),
        "cluster": plan_cluster(inputs),
        "topology": plan_topology(inputs, workloads, is_scaled=is_scaled),
        "secrets": secrets,
        "claims": _list_claims(workloads),
    }
    files = dict(_render(context, workloads))
    missing = (problem for one in services for problem in find_problems(one.plan, vault))
    return Exported(files, (*missing, *_find_notes(workloads, scalings, inputs=inputs, target=target)), secrets)


def _choose_nodes(inputs: Inputs, nodes: int) -> Inputs:
    if not nodes:
        return inputs
    document = {**inputs.settings.broker.model_dump(by_alias=True), "nodes": nodes}
    broker = parse_model(Broker, document, name="export-kubernetes --nodes")
    return replace(inputs, settings=inputs.settings.model_copy(update={"broker": broker}))


def render_secrets(secrets: Sequence[NeededSecret], target: Target) -> bytes:
    """Return Secrets with their values, for `kubectl apply --filename -` and for no file; a namespace before them."""
    context = {"secrets": secrets, "namespace": target.namespace, "is_own": target.is_own}
    return fill(f"{_FOLDER}/secret.yaml", context)


_NAMES: Mapping[str, Any] = {
    "mark": MARK,
    "rabbitmq": CLUSTER,
    "keda": KEDA,
    "scaling": scaling,
    "function": FUNCTION,
    "component_label": COMPONENT_LABEL,
    "name_label": NAME_LABEL,
    "routed_label": ROUTED_LABEL,
    "health_port": HEALTH_PORT,
    "metrics_port": METRICS_PORT,
    "management_port": MANAGEMENT_PORT,
    "broker_metrics_port": BROKER_METRICS_PORT,
}
_PARTS = ("rabbitmq.yaml", TOPOLOGY, "network.yaml", "monitoring.yaml")


def _render(context: dict[str, Any], workloads: Sequence[Workload]) -> Iterator[tuple[str, bytes]]:
    parts = ["namespace.yaml", *_PARTS] if context["target"].is_own else [*_PARTS]
    parts += ["scaling.yaml"] if any(context["scalings"].values()) else []
    parts += ["volumes.yaml"] if context["claims"] else []
    parts += ["external-secrets.yaml"] if context["target"].store and context["secrets"] else []
    for part in parts:
        yield part, fill(f"{_FOLDER}/{part}", context)
    for one in workloads:
        own = {
            "one": one,
            "hosts": [one.name, *list_aliases(one, workloads)],
            "route": _route(one, context["target"]),
            "scaled": context["scalings"][one.name],
            "volumes": list_volumes(one),
        }
        yield f"{one.name}.yaml", fill(f"{_FOLDER}/function.yaml", context | own)
    paths = [*parts, *(f"{one.name}.yaml" for one in workloads)]
    yield KUSTOMIZATION, fill(f"{_FOLDER}/{KUSTOMIZATION}", context | {"paths": paths})


def list_aliases(workload: Workload, workloads: Sequence[Workload]) -> list[str]:
    """Return a function's alias, unless another function has it, or is called so: names of hosts know no capitals."""
    taken = [name for one in workloads for name in {one.name, one.alias}]
    return [workload.alias] if workload.alias and taken.count(workload.alias) == 1 else []


@dataclass(frozen=True)
class _Ingress:
    """How an Ingress leads to a function."""

    path: str
    kind: str
    annotations: Mapping[str, str]


def _route(workload: Workload, target: Target) -> _Ingress:
    name = workload.service.plan.name
    for beginning, (path, annotations) in _REWRITES.items():
        if target.ingress.startswith(beginning):
            written = {key: value.replace("{name}", name) for key, value in annotations.items()}
            return _Ingress(path.replace("{name}", name), "ImplementationSpecific", written)
    return _Ingress(f"/{name}", "Prefix", {})


def _list_claims(workloads: Sequence[Workload]) -> dict[str, int]:
    """Return the volumes that outlive pods, each with how many pods may have it at once."""
    users: dict[str, int] = {}
    for workload in workloads:
        for name in workload.claims:
            users[name] = users.get(name, 0) + workload.most
    return dict(sorted(users.items()))


def _find_notes(
    workloads: Sequence[Workload], scalings: Mapping[str, Scaling | None], *, inputs: Inputs, target: Target
) -> Iterator[str]:
    for one in workloads:
        yield from (f"{one.service.plan.function.document}: {loss}" for loss in find_losses(one, scalings[one.name]))
    for claim, pods in _list_claims(workloads).items():
        if pods > 1:
            what = f"the volume {claim} is for {pods} pods, which have to be on one node"
            yield f"{what}; an overlay with ReadWriteMany, before the first apply, lets them be on several"
    yield from _find_notes_of_many(workloads)
    if target.ingress and not any(map(target.ingress.startswith, _REWRITES)):
        what = f"an Ingress of the class {target.ingress} leaves a function's name in the path, and its handler sees it"
        yield f"{what}; tell the controller to cut it off"
    if inputs.settings.bridge:
        yield "stack.yaml: bridge is not exported; the topology operator has Shovel for what is to go to other places"
    if inputs.accounts.current.is_guest:
        yield "guest is no account there: `invoke credentials` makes one for devices and people, then export again"


def _find_notes_of_many(workloads: Sequence[Workload]) -> Iterator[str]:
    if free := [one.service.plan.name for one in workloads if not one.is_restricted]:
        what = "as root, as a user whom only their image knows, or with a hostPath"
        pods = f"the pods of {', '.join(free)} run {what}"
        yield f"{pods}: a namespace that enforces the Pod Security Standard `restricted` takes none of them"
    if local := [one.service.plan.name for one in workloads if _is_local(one)]:
        images = f"the images of {', '.join(local)} have the names of this machine, which no cluster can pull"
        yield f"{images}; name a registry: --registry registry.example/team --push"


def _is_local(workload: Workload) -> bool:
    """Return whether an image was made here and has no registry in its name."""
    image = workload.service.image
    return workload.image == image and not workload.service.runs_as_is and find_registry(image) == find_registry("")
