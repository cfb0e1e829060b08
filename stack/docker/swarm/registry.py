"""The registry of a Swarm's images: started beside the stack, and given the images that its services run."""

import re
import subprocess
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker.errors import NotFound
from docker.types import ContainerSpec, RestartPolicy, ServiceMode, TaskTemplate
from urllib3.exceptions import HTTPError

from stack import console
from stack.docker.client import docker_api, explain, explained
from stack.docker.driver import docker_cli
from stack.docker.driver import explained as explained_driver
from stack.docker.node import STACK_LABEL, fetch_nodes, require_manager
from stack.errors import EngineError
from stack.plan.image import digest, split_reference
from stack.plan.inputs import Inputs
from stack.plan.registry import (
    FORWARDER,
    LOCAL,
    SERVICE,
    STACK_FILE,
    RegistryPlan,
    name_stack,
    render_registry,
)
from stack.plan.stack_image import gateway_image, registry_image
from stack.state.certificates import save_node_pair
from stack.state.http_client import open_local_pool
from stack.state.workspace import Workspace, write_file

# A busy machine may take so long to start two containers.
_START_SECONDS, _POLL_SECONDS = 60.0, 0.3
_ASK_SECONDS = 3.0
_PUSHES_AT_ONCE = 4
# What a push is told while the registry is about to listen.
_NOT_YET = re.compile(r"\bEOF|connection reset|connection refused")
_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
# Of a task, whatever became of it.
_ENDED = ("complete", "failed", "rejected", "shutdown")
_PORT = re.compile(r":\d+(?=/)")


def start_registry(workspace: Workspace, inputs: Inputs) -> None:
    """Have the stack's own registry run on this machine, and each machine's way to it.

    Raises:
        HostError: this machine is no manager of a Swarm.
        EngineError: it does not come up.
    """
    own, pair = require_manager(), save_node_pair(workspace, inputs.settings.project)
    images = registry_image(inputs), gateway_image(inputs)
    is_local = not inputs.base_images.is_registry
    pinned, gateway = (_find_id(one) if is_local else one for one in images)
    version = digest([pair.read_bytes()])
    plan = RegistryPlan(own.node, own.address, pinned, gateway, str(pair), version)
    folder = workspace.state / SERVICE
    for name, content in render_registry(plan, inputs.settings).items():
        write_file(folder / name, content)
    name = name_stack(inputs.settings.project)
    _deploy(name, folder / STACK_FILE)
    with console.working("Starting the registry of images"):
        _await_tasks(name, own.node)
    if is_local:
        _tell_lacking(name, images[1])


def _find_id(image: str) -> str:
    """Return the id of an image, for which no registry is asked."""
    with explained():
        return str(docker_api().inspect_image(image)["Id"])


def _deploy(name: str, file: Path) -> None:
    command = [*map(str, docker_cli.client_config.docker_cmd), "stack", "deploy", "--prune", "--resolve-image=never"]
    # python-on-whales' own call prints to standard output.
    done = subprocess.run([*command, f"--compose-file={file}", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(explain(done.stderr))


def remove_registry(project: str, *, volumes: bool) -> None:
    """Remove the registry and what leads to it; its images stay in their volume, if volumes are not asked for.

    Raises:
        EngineError: the Swarm refuses.
    """
    name = name_stack(project)
    command = [*map(str, docker_cli.client_config.docker_cmd), "stack", "rm", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(explain(done.stderr))
    if volumes:
        _remove_volumes(name)


def _remove_volumes(name: str) -> None:
    """Remove the volumes of a stack on this machine, once its containers here are gone."""
    own = {"label": f"{STACK_LABEL}={name}"}
    deadline = time.monotonic() + _START_SECONDS
    with explained():
        while docker_api().containers(all=True, filters=own) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        for one in docker_api().volumes(filters=own)["Volumes"] or ():
            docker_api().remove_volume(one["Name"])


def _await_tasks(name: str, node: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while missing := {SERVICE, FORWARDER} - {service for service, task in _list_tasks(name) if _runs(task, node)}:
        if time.monotonic() > deadline:
            said = [task["Status"].get("Err", "") for service, task in _list_tasks(name) if service in missing]
            raise EngineError(f"{' and '.join(sorted(missing))} did not start: {max(said, default='') or 'no reason'}.")
        time.sleep(_POLL_SECONDS)


def _runs(task: Mapping[str, Any], node: str) -> bool:
    return task.get("NodeID") == node and task["Status"]["State"] == "running"


def _list_tasks(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the tasks of the registry's stack that are to run, each with the name of its service."""
    own = {"label": f"{STACK_LABEL}={name}"}
    with explained():
        names = {one["ID"]: one["Spec"]["Name"].removeprefix(f"{name}_") for one in docker_api().services(filters=own)}
        tasks = docker_api().tasks(filters=own)
    return [(names[one["ServiceID"]], one) for one in tasks if one["ServiceID"] in names]


def _tell_lacking(name: str, image: str) -> None:
    """Name the machines that cannot start the forwarder, since no registry that they reach has its image."""
    tasks = [task for service, task in _list_tasks(name) if service == FORWARDER]
    rejected = {task.get("NodeID") for task in tasks if "No such image" in task["Status"].get("Err", "")}
    running = {task.get("NodeID") for task in tasks if task["Status"]["State"] == "running"}
    for node in fetch_nodes():
        if node.id in rejected - running:
            console.warn(
                f"{node.name} lacks the image of its way to the registry, and runs nothing until it has it. "
                f"Type: docker save {image} | ssh {node.address} docker load"
            )


def push_images(images: Collection[str], prefix: str) -> dict[str, str]:
    """Push images to the user's registry, or to the stack's; return by image what every machine pulls, by its digest.

    Raises:
        EngineError: one is not here, or the registry does not take it.
    """
    with ThreadPoolExecutor(_PUSHES_AT_ONCE) as pool:
        return dict(zip(images, pool.map(partial(_push, prefix), images), strict=True))


def spread_images(project: str, references: Collection[str]) -> None:
    """Have every machine pull images that no service of a project has yet, and wait for a while until they have.

    The machine with the registry may be the one that is lost, and what ran there is to run elsewhere.
    """
    machines = [one.id for one in fetch_nodes() if one.state == "ready" and one.availability == "active"]
    with explained():
        services = docker_api().services(filters={"label": f"{STACK_LABEL}={project}"})
    known = {one["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for one in services}
    wanted = set(references) - known
    if len(machines) > 1 and wanted:
        with ThreadPoolExecutor(_PUSHES_AT_ONCE) as pool:
            list(pool.map(partial(_spread, project, len(machines)), wanted))


def _spread(project: str, machines: int, reference: str) -> None:
    """Run a job once on each machine, which does nothing: for it the image is pulled."""
    template = TaskTemplate(ContainerSpec(reference, command=["true"]), restart_policy=RestartPolicy("none"))
    stack = name_stack(project)
    # What it is for is worth no failure; one that a killed task left goes with the registry's stack.
    with suppress(EngineError), explained():
        name, own = f"{stack}_pull-{digest([reference])}", {STACK_LABEL: stack}
        job = docker_api().create_service(template, name=name, labels=own, mode=ServiceMode("global-job"))["ID"]
        try:
            _await_ends(job, machines)
        finally:
            docker_api().remove_service(job)


def _await_ends(job: str, machines: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        states = [one["Status"]["State"] for one in docker_api().tasks(filters={"service": job})]
        if sum(state in _ENDED for state in states) >= machines:
            return
        time.sleep(_POLL_SECONDS)


def _push(prefix: str, image: str) -> str:
    name = f"{prefix}/{_PORT.sub('', image.partition('@')[0])}"
    if (known := _find_digest(image, name)) and _has(known):
        return known
    with explained_driver():
        docker_cli.image.tag(image, name)
    deadline = time.monotonic() + _START_SECONDS
    while problem := _try_push(name):
        if time.monotonic() > deadline or not _NOT_YET.search(problem):
            raise EngineError(f"{image} could not be pushed to {prefix}. `invoke up` starts it. {problem}")
        time.sleep(_POLL_SECONDS)
    return _find_digest(image, name)


def _find_digest(image: str, name: str) -> str:
    """Return the name of an image with its digest in a registry; nothing where it was never there.

    Raises:
        EngineError: it is not here.
    """
    with explained():
        try:
            digests: list[str] = docker_api().inspect_image(image).get("RepoDigests") or []
        except NotFound as error:
            raise EngineError(f"The image {image} is not here. `invoke up` makes it.") from error
    repository = split_reference(name)[0]
    return next((one for one in digests if one.startswith(f"{repository}@")), "")


def _has(reference: str) -> bool:
    """Return whether the registry has an image; one that cannot be asked from here is believed."""
    host, _, path = reference.partition("/")
    if host.partition(":")[0] != LOCAL:
        return True
    name, _, version = path.partition("@")
    with suppress(HTTPError), open_local_pool() as pool:
        url = f"http://{host}/v2/{name}/manifests/{version}"
        answer = pool.request("HEAD", url, headers={"Accept": _MANIFESTS}, timeout=_ASK_SECONDS)
        return answer.status != HTTPStatus.NOT_FOUND
    return True


def _try_push(name: str) -> str:
    """Push an image; return why that failed, or nothing."""
    try:
        with explained_driver():
            docker_cli.image.push(name, quiet=True)
    except EngineError as error:
        return str(error)
    return ""
