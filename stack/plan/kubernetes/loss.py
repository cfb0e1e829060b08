"""What of a function is not there on Kubernetes, or is otherwise, and what its user can do about it."""

from collections.abc import Iterator

from stack.config.settings import Processor
from stack.config.trigger.http import HttpTrigger
from stack.plan.base_image import chosen_processor
from stack.plan.kubernetes.name import is_variable
from stack.plan.kubernetes.scaling import Scaling, find_counted
from stack.plan.kubernetes.workload import Workload
from stack.plan.store import URL_SECRET

# Restarts that a pod of a Deployment can have.
_RESTARTS = ("always", "unless-stopped")
# What function.yaml may say of pods and Tidegate does not write.
_FOR_OVERLAYS = {
    "sidecars",
    "init_containers",
    "deployment_strategy",
    "host_ipc",
    "custom_scaling_metric_specs",
    "preemption_policy",
    "service_type",
}


def find_losses(workload: Workload, scaling: Scaling | None) -> Iterator[str]:
    """Yield a line for each, with the key of function.yaml that it is about."""
    yield from _lose_requests(workload, scaling)
    yield from _lose_counts(workload, scaling)
    yield from _lose_of_machine(workload)
    yield from _lose_image(workload)
    yield from _lose_environment(workload)


def _lose_requests(workload: Workload, scaling: Scaling | None) -> Iterator[str]:
    service = workload.service
    if service.is_routed and not workload.is_routed:
        what = "the gateway asks for a login, which no route does, so that none is written"
        yield f"spec.triggers: {what}; let a gateway of the cluster ask, and lead to the Service {workload.name}"
    if service.port:
        yield f"spec.triggers: the port {service.plan.port} of this machine is left out; the route leads to it"
    for key in _list_given(service.plan.http):
        what = f"the route leads to /{service.plan.name}/, and an overlay elsewhere"
        yield f"spec.triggers: {key} is left out; {what}"
    if service.limits.is_automatic and not (scaling and (scaling.has_http or not service.is_routed)):
        what = "no one counts the requests that come to it" if service.plan.http else "nothing counts its events"
        yield f"spec.maxReplicas: {what}, so that they scale it no more"


def _list_given(http: HttpTrigger | None) -> Iterator[str]:
    """Yield what a http trigger says of ways in from outside, as it does on the original Nuclio's platform."""
    if http:
        yield from http.attributes.model_dump(
            by_alias=True, include={"ingresses", "service_type"}, exclude_defaults=True
        )


def _lose_counts(workload: Workload, scaling: Scaling | None) -> Iterator[str]:
    for queue in find_counted(workload) if scaling else ():
        if " " in queue:
            yield f"the queue {queue!r}: KEDA finds none with a space in its name, and does not count its messages"


def _lose_of_machine(workload: Workload) -> Iterator[str]:
    spec = workload.service.plan.spec
    for path in spec.devices:
        yield f"spec.devices: {path} is left out; a device plugin of the cluster's gives devices to pods"
    for item in spec.mounts:
        path = item.volume.host_path.path if item.volume.host_path else ""
        yield f"spec.volumes: hostPath {path} is that of each node; choose nodes by spec.nodeSelector"
    if spec.platform.attributes.restart_policy.name not in _RESTARTS:
        yield "spec.platform.attributes.restartPolicy: a pod of a Deployment is always started again"
    given = spec.model_dump(by_alias=True, include=_FOR_OVERLAYS, exclude_defaults=True)
    yield from (f"spec.{key}: is left out; say it in an overlay" for key in given)


def _lose_image(workload: Workload) -> Iterator[str]:
    if workload.service.runs_as_is:
        yield f"spec.image: the cluster has to be able to pull {workload.image}, which is not pushed"


def _lose_environment(workload: Workload) -> Iterator[str]:
    service = workload.service
    for variable in service.plan.spec.env:
        if not is_variable(variable.name):
            yield f"spec.env: {variable.name!r} is no name of a variable there, and is left out"
    if any(mount.secret == URL_SECRET for mount in service.mounts):
        yield f"the secret {URL_SECRET}: the store of readings is not exported; make the Secret data with your own"
    is_original = chosen_processor(service.plan.function.config, workload.settings) is Processor.NUCLIO
    if is_original and service.plan.uses_broker_account:
        yield "spec.triggers: Nuclio's own processor logs in as guest, which is no account there; give url an account"
