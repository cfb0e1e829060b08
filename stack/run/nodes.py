"""The machines of a Swarm: listed, labelled, drained, removed; and what to type on the next one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stack import console
from stack.config.settings import load_settings
from stack.docker.node import (
    MANAGER_PORT,
    Node,
    fetch_join_token,
    fetch_nodes,
    find_kept,
    find_node,
    remove_node,
    require_manager,
    update_node,
)
from stack.errors import HostError
from stack.state.workspace import open_workspace

_COLUMNS = ("node", "role", "availability", "state", "address", "labels", "runs")
_DRAIN_SECONDS = 180
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class NodeCommand:
    """What is typed of one node; without a name all are listed."""

    name: str = ""
    labels: Sequence[str] = ()
    drain: bool = False
    activate: bool = False
    remove: bool = False

    @property
    def changes(self) -> bool:
        """Return whether anything is to be changed."""
        return bool(self.labels) or self.drain or self.activate or self.remove


def handle_nodes(command: NodeCommand, *, as_json: bool) -> None:
    """List the nodes, or change one.

    Raises:
        HostError: this is no manager, there is no such node, or the change would break what runs.
    """
    if command.drain + command.activate + command.remove > 1:
        raise HostError("--drain, --activate and --remove exclude each other: give one of them.")
    if command.changes and not command.name:
        raise HostError("Which node? Type `invoke nodes NAME` and what is to be done; `invoke nodes` lists them.")
    labels = _parse_labels(command.labels)
    project = load_settings(open_workspace().root).project
    nodes = fetch_nodes(project)
    if not command.changes:
        shown = [find_node(nodes, command.name)] if command.name else nodes
        _print_nodes(shown, nodes, as_json=as_json)
        return
    node = find_node(nodes, command.name)
    if labels:
        update_node(node, labels=labels)
        console.success(f"{node.name} has the labels as given; what is placed by them moves at its next deploy.")
    if command.activate:
        update_node(node, availability="active")
        console.success(f"{node.name} takes work again. What runs elsewhere stays there until its next deploy.")
    elif command.drain:
        _drain(node, nodes)
    elif command.remove:
        _remove(node, nodes)


def _parse_labels(texts: Sequence[str]) -> Mapping[str, str]:
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise HostError(f"--label {text}: should be KEY=VALUE, such as disk=ssd; KEY= takes the label away.")
        labels[key] = value
    return labels


def _print_nodes(shown: Sequence[Node], nodes: Sequence[Node], *, as_json: bool) -> None:
    if as_json:
        console.show_json([_describe(one) for one in shown])
        return
    console.show_table(_COLUMNS, [_tabulate(one) for one in shown])
    if advice := advise_on_managers(nodes):
        console.note(advice)


def _describe(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "id": node.id,
        "role": node.role,
        "leader": node.is_leader,
        "reachable": node.is_reachable,
        "availability": node.availability,
        "state": node.state,
        "address": node.address,
        "labels": dict(node.labels),
        "runs": list(node.services),
    }


def _tabulate(node: Node) -> dict[str, str]:
    return {
        "node": node.name,
        "role": "leader" if node.is_leader else node.role,
        "availability": node.availability,
        "state": node.state if node.is_reachable or node.state != "ready" else "unreachable",
        "address": node.address,
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(node.labels.items())),
        "runs": ", ".join(node.services),
    }


def advise_on_managers(nodes: Sequence[Node]) -> str:
    """Return what to do about the number of managers, where it is none that lets one be lost; else nothing."""
    number = sum(one.is_manager for one in nodes)
    if number == 2:
        return "Two managers: when either is away, nothing can be changed. Add a third: `invoke join --manager`."
    if number % 2 == 0:
        return f"{number} managers may lose no more than {number - 1} may. Add one, or make one a worker."
    if number == 1 and len(nodes) > 1:
        return "One manager: when it is away, nothing is replaced. Three may lose one: `invoke join --manager`."
    return ""


def _drain(node: Node, nodes: Sequence[Node]) -> None:
    kept = find_kept(node, nodes)
    update_node(node, availability="drain")
    _await_empty(node)
    if kept:
        console.warn(
            f"{', '.join(kept)} may run on {node.name} only, and is down until `invoke nodes {node.name} --activate`."
        )
    console.success(f"Nothing runs on {node.name} any more. `invoke nodes {node.name} --activate` gives it work again.")


def _await_empty(node: Node) -> None:
    """Wait until what can run elsewhere does, or has ended; a node that is away has no one to tell of it."""
    if node.state != "ready":
        return
    deadline = time.monotonic() + _DRAIN_SECONDS
    with console.working(f"Moving what runs on {node.name}"):
        while left := find_node(fetch_nodes(), node.id).services:
            if time.monotonic() > deadline:
                raise HostError(
                    f"{', '.join(left)} still runs on {node.name}. `invoke logs` tells why it does not end."
                )
            time.sleep(_POLL_SECONDS)


def _remove(node: Node, nodes: Sequence[Node]) -> None:
    if node.id == require_manager().node:
        raise HostError(f"{node.name} is this machine. Type the same on another manager.")
    kept = find_kept(node, nodes)
    if kept and node.state == "ready":
        raise HostError(
            f"{', '.join(kept)} may run on {node.name} only, where its volume is; without it that data is gone. "
            "Move it first, as docs/guides/swarm.md tells, or take the service out of stack.yaml."
        )
    if node.is_manager and not keeps_majority(node, nodes):
        raise HostError(
            f"Without {node.name} most managers would be away, and the Swarm could not be changed any more. Bring "
            "another manager back first; `invoke nodes` shows which are away."
        )
    update_node(node, availability="drain")
    _await_empty(node)
    if node.is_manager:
        update_node(node, role="worker")
    remove_node(node)
    if kept:
        console.warn(f"{', '.join(kept)} was kept on {node.name}, and what it had there is gone with it.")
    console.success(f"{node.name} is removed. On that machine, `docker swarm leave --force` makes its engine know.")
    if advice := advise_on_managers([one for one in nodes if one.id != node.id]):
        console.note(advice)


def keeps_majority(removed: Node, nodes: Sequence[Node]) -> bool:
    """Return whether most managers are reachable when one is removed."""
    left = [one for one in nodes if one.is_manager and one.id != removed.id]
    return sum(one.is_reachable for one in left) > len(left) / 2


def print_join(*, is_manager: bool) -> None:
    """Print what to type on the next machine.

    Raises:
        HostError: this is no manager.
    """
    own = require_manager()
    settings = load_settings(open_workspace().root)
    token = fetch_join_token("manager" if is_manager else "worker")
    console.note("On the next machine, in its own checkout of Tidegate; who has the token can join:")
    console.show(f"./bootstrap provision --swarm --bind {settings.get_address('gateway')}")
    console.show(f"docker swarm join --token {token} {own.address}:{MANAGER_PORT}")
    console.note("Then here: `invoke nodes` shows it, and `invoke up` uses it.")
    managers = sum(one.is_manager for one in fetch_nodes())
    if not is_manager and managers == 1:
        console.note("There is one manager. `invoke join --manager` adds others; three may lose one.")
