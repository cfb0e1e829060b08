"""What changes the services of a Swarm: `docker stack deploy`, of some services of the rendered file at a time."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import yaml
from docker.errors import APIError, NotFound
from python_on_whales import DockerClient

from stack.config.settings import Settings
from stack.docker.client import docker_api
from stack.docker.container import Container
from stack.docker.driver import Driver, docker_cli, end_commands, explained, print_lines
from stack.docker.engine import Engine
from stack.docker.node import STACK_LABEL, await_leader, fetch_nodes, require_manager, update_node
from stack.docker.swarm.engine import SwarmEngine, check_other_engine
from stack.docker.swarm.registry import push_images, spread_images
from stack.docker.swarm.task import Document
from stack.docker.swarm.update import Goal, watch_updates
from stack.errors import FunctionError, HostError
from stack.plan.broker import is_node
from stack.plan.provision import GATEWAY_BRIDGE
from stack.plan.registry import LOCAL
from stack.plan.stack import DEFINITION_LABEL
from stack.plan.swarm import BIND_LABEL, WORKSPACE_LABEL, select_services
from stack.plan.template import write_yaml
from stack.state.workspace import is_inside

# How long a service may take to be as it is to be: a slow SD card, a large volume, three machines in turn.
_SECONDS = 180.0
# How long it is tried to remove what Swarm still holds for a moment, and how often.
_REMOVAL_SECONDS, _POLL_SECONDS = 30.0, 0.3
_YOUNG = timedelta(minutes=5)
# What the command prints is for people, on the stream of results.
_QUIET = ["sh", "-c", 'exec docker "$@" >/dev/null', "docker"]


@dataclass(frozen=True)
class SwarmDriver(Driver):
    """Changes the services of a stack."""

    engine: SwarmEngine

    def check(self) -> None:
        """Make sure that this machine is a manager, whose own label says that it has the workspace.

        Raises:
            EngineError: Docker is missing, too old, not running, or not permitted.
            HostError: this machine is no manager, or another has the workspace.
        """
        self.engine.check_engine()
        check_other_engine(self.engine)
        here, label = require_manager().node, f"{WORKSPACE_LABEL}{self.engine.project}"
        nodes = fetch_nodes(self.engine.project)
        if elsewhere := [one for one in nodes if label in one.labels and one.id != here]:
            raise HostError(
                f"The workspace of {self.engine.project} is on {elsewhere[0].name}, with all that broker and functions "
                f"keep. Type this there; or, to begin without that here, "
                f"`invoke nodes {elsewhere[0].name} --label {label}=` first."
            )
        (own,) = [one for one in nodes if one.id == here]
        if label not in own.labels:
            update_node(own, labels={label: "true"})

    def up(self, services: Sequence[str], *, scales: Mapping[str, int] | None = None, file: Path | None = None) -> None:
        """Deploy services of the rendered file, or of another, and wait for them; with scales nothing is waited for.

        Raises:
            EngineError: Docker refused.
            FunctionError: one or more did not come up, which run as before.
        """
        if scales:
            self._scale(scales)
            return
        first = [one for one in services if is_node(one)]
        for some in filter(None, (first, [one for one in services if one not in first])):
            goals = self.deploy(dict.fromkeys(some), file)
            looks = watch_updates(self.engine, goals, grace=_SECONDS)
            failures = [reason for settled in looks for reason in settled.values() if reason]
            if failures:
                raise FunctionError("\n".join(failures))

    def _scale(self, counts: Mapping[str, int]) -> None:
        """Have so many containers of services, of what definition they are by now; deploy those that are not there."""
        there = {one["Spec"]["Name"].removeprefix(f"{self.engine.project}_") for one in self._fetch_services()}
        quiet = DockerClient(client_call=_QUIET)
        for name in there.intersection(counts):
            service = f"{self.engine.project}_{name}"
            with explained():
                await_leader(partial(quiet.service.update, service, replicas=counts[name], detach=True, quiet=True))
        if missing := {name: count for name, count in counts.items() if name not in there}:
            self.deploy(missing)

    def _fetch_services(self) -> Iterable[Document]:
        return self.engine.fetch_swarm().services.values()

    def deploy(self, scales: Mapping[str, int | None], file: Path | None = None) -> dict[str, Goal]:
        """Deploy services with so many containers each, or as many as the file says; return how they are to be.

        Raises:
            EngineError: Docker refused.
        """
        source = file or self.engine.compose_file
        document = yaml.load(source.read_bytes(), yaml.CSafeLoader)
        services = document["services"]
        counts = {
            name: services[name]["deploy"].get("replicas", 1) if count is None else count
            for name, count in scales.items()
        }
        images = self.pin_images([services[name]["image"] for name in counts])
        if is_own := self.engine.registry.startswith(f"{LOCAL}:"):
            able = [name for name in counts if _may_move(services[name])]
            spread_images(self.engine.project, [images[services[name]["image"]] for name in able])
        with self._written(select_services(document, counts, images=images, folder=source.parent)) as path, explained():
            # In a container there is no login; what was handed over before goes on.
            has_login = not is_own and not is_inside()
            deploy = DockerClient(client_call=_QUIET).stack.deploy
            await_leader(
                lambda: deploy(self.engine.project, [path], resolve_image="never", with_registry_auth=has_login)
            )
        return {
            name: Goal(services[name]["labels"][DEFINITION_LABEL], count, _SECONDS) for name, count in counts.items()
        }

    @contextmanager
    def _written(self, document: Mapping[str, Any]) -> Iterator[Path]:
        """Yield a file of a stack, in a folder that only its owner can open."""
        with TemporaryDirectory() as folder:
            # Swarm takes no empty file.
            for number, one in enumerate([*document["configs"].values(), *document["secrets"].values()]):
                if not Path(one["file"]).stat().st_size:
                    one["file"] = f"{folder}/{number}"
                    Path(one["file"]).write_bytes(b"\n")
            path = Path(folder) / "stack.yaml"
            path.write_bytes(write_yaml(document))
            yield path

    def pin_images(self, images: Collection[str]) -> dict[str, str]:
        """Return how every machine finds each of these images: in the registry, by its digest.

        Raises:
            EngineError: one is not here, or the registry does not take it.
        """
        return push_images(set(images), self.engine.registry)

    def stop(self, containers: Sequence[Container]) -> None:
        """Have services go without these containers; a service that has no other is removed.

        Raises:
            EngineError: Docker refused.
        """
        self.halt(containers)

    def halt(self, containers: Sequence[Container]) -> None:
        """Do the same: Swarm keeps no container that is stopped."""
        names = {one.service for one in containers}
        if not names:
            return
        gone = {one.task for one in containers}
        left = [one.service for one in self.engine.listed() if one.task not in gone]
        self.engine.keep_logs(containers)
        if some := {name: left.count(name) for name in names if name in left}:
            self._scale(some)
        self.remove_services(names.difference(left))

    def remove_services(self, names: Collection[str]) -> None:
        """Remove services, whose containers finish what they have begun; one that is gone is no failure."""
        for name in sorted(names):
            with explained(), suppress(NotFound):
                await_leader(partial(docker_api().remove_service, f"{self.engine.project}_{name}"))

    def down(self, *, volumes: bool) -> None:
        """Remove the stack; volumes of this machine are left to who calls."""
        with explained():
            await_leader(lambda: DockerClient(client_call=_QUIET).stack.remove(self.engine.project))
        deadline = time.monotonic() + _SECONDS
        while self._is_there() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _is_there(self) -> bool:
        """Return whether anything of the stack runs here, or holds a network."""
        own = {"label": f"{STACK_LABEL}={self.engine.project}"}
        with explained():
            return bool(docker_api().containers(all=True, filters=own) or docker_api().networks(filters=own))

    def follow_logs(self, services: Sequence[str], *, follow: bool) -> int:
        """Print the logs of services of all machines; return the exit status."""
        chosen = services or sorted({one.service for one in self.engine.listed()})
        names = [f"{self.engine.project}_{name}" for name in chosen]
        # Each command follows one service; an interruption ends them all.
        pool = ThreadPoolExecutor(len(names) if follow else 1)
        asked = [pool.submit(lambda one: print_lines(_read_logs(one, follow=follow)), name) for name in names]
        try:
            return max(one.result() for one in asked)
        except KeyboardInterrupt:
            end_commands()
            return 0
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def prune(self) -> None:
        """Remove configs and secrets that no service has, nor had before its last update, which may be taken back."""
        own = {"label": f"{STACK_LABEL}={self.engine.project}"}
        with explained():
            used = {
                id_
                for one in docker_api().services(filters=own)
                for spec in (one["Spec"], one.get("PreviousSpec") or {})
                for id_ in _find_files(spec)
            }
            lists = (
                (docker_api().configs, docker_api().remove_config),
                (docker_api().secrets, docker_api().remove_secret),
            )
            for list_, remove in lists:
                for one in list_(filters=own):
                    # What is young may be of a service that another task is about to deploy.
                    is_young = datetime.fromisoformat(one["CreatedAt"]) > datetime.now(UTC) - _YOUNG
                    if one["ID"] not in used and not is_young:
                        with suppress(APIError):
                            remove(one["ID"])


def _may_move(service: Document) -> bool:
    """Return whether a service may run on another machine when its own is gone, and is not on each already."""
    deploy = service["deploy"]
    return deploy["mode"] != "global" and not any(WORKSPACE_LABEL in one for one in deploy["placement"]["constraints"])


def _read_logs(service: str, *, follow: bool) -> Iterable[tuple[str, bytes]]:
    """Return the lines of a service's tasks, each with its task and machine before it."""
    lines = docker_cli.service.logs(service, follow=follow, stream=True)
    return cast(Iterable[tuple[str, bytes]], lines)


def check_binding(engine: Engine, settings: Settings) -> None:
    """Refuse an address that ports are not published at: Docker Swarm has one for all ports of a machine.

    Raises:
        HostError: that of a machine is another than `bind`, or is not known.
    """
    if not engine.is_swarm:
        return
    here, address = require_manager().node, settings.get_address("gateway")
    with explained():
        options = docker_api().inspect_network(GATEWAY_BRIDGE)["Options"]
    found = options.get("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0")
    if found != str(address):
        raise HostError(
            f"stack.yaml: bind: {address} cannot be kept: Docker Swarm publishes the ports of this machine at {found}. "
            f"Write `bind: {found}`; or, on a machine that is in no Swarm yet, "
            f"`./bootstrap provision --swarm --bind {address}`."
        )
    unknown = [one for one in fetch_nodes() if one.id != here and one.labels.get(BIND_LABEL) != str(address)]
    if unknown and not address.is_unspecified:
        name = unknown[0].name
        raise HostError(
            f"stack.yaml: bind: {address} may not be kept on {name}: a machine publishes ports at all of its addresses "
            f"unless `./bootstrap provision --swarm --bind {address}` was typed there before it joined. If it was, "
            f"type `invoke nodes {name} --label {BIND_LABEL}={address}`; or write `bind: 0.0.0.0`."
        )


def _find_files(spec: Document) -> Iterator[str]:
    container = spec.get("TaskTemplate", {}).get("ContainerSpec", {})
    yield from (one["ConfigID"] for one in container.get("Configs") or ())
    yield from (one["SecretID"] for one in container.get("Secrets") or ())


def open_driver(engine: Engine) -> Driver:
    """Return what changes the containers of an engine."""
    return SwarmDriver(engine) if isinstance(engine, SwarmEngine) else Driver(engine)
