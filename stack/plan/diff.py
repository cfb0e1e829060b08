"""What would happen: the difference between what is wanted, what is rendered and what runs.

`invoke plan` shows it and `invoke up` does it; what only a deploy would do is said too, and `up` leaves it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

from stack.plan.alert import SERVICE as VMALERT
from stack.plan.broker import SERVICE, list_nodes
from stack.plan.device_account import SERVICE as DEVICES
from stack.plan.gateway import CONFIGURATION, MDNS
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway_frontend import DASHBOARD
from stack.plan.inputs import Inputs
from stack.plan.notify import SERVICE as ALERTMANAGER
from stack.plan.notify import notify_digest
from stack.plan.render import SCALER, files_digest, render_broker
from stack.plan.stack import FILES_LABEL, Service, is_nuclio
from stack.plan.stack_image import (
    alertmanager_image,
    control_image,
    dashboard_image,
    gateway_image,
    rabbitmq_image,
    store_image,
    vmalert_image,
)
from stack.plan.store import SERVICE as STORE
from stack.plan.swarm import CONFIGURATION_REPLICAS
from stack.plan.template import Files

UP, DEPLOY = "up", "deploy-function --all"
_ABSENT = "has no container"


class Action(StrEnum):
    """What is done."""

    CREATE = "create"
    START = "start"
    REPLACE = "replace"
    CHANGE = "change"
    REMOVE = "remove"
    WRITE = "write"
    KEEP = "keep"


@dataclass(frozen=True)
class Wanted:
    """A service as it is rendered: a digest of it, and its inputs that are labels of its containers."""

    service: str
    definition: str
    image: str = ""
    files: str = ""
    secrets: str = ""
    replicas: int = 1
    is_global: bool = False
    """Whether each machine of a Swarm has one."""


@dataclass(frozen=True)
class Running:
    """A container, as far as a change depends on it."""

    id: str
    service: str
    definition: str
    is_running: bool
    is_ready: bool = True
    """Whether it does its work, if it runs."""
    image: str = ""
    files: str = ""
    secrets: str = ""
    is_cut_off: bool = False


@dataclass(frozen=True)
class Change:
    """What happens to one service, file or function, by which task, and why.

    `surplus` are containers that go, `older` those that others take the places of.
    """

    subject: str
    action: Action
    reason: str
    task: str = UP
    surplus: tuple[str, ...] = ()
    older: tuple[str, ...] = ()

    def as_document(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {"subject": self.subject, "action": self.action, "task": self.task, "reason": self.reason}


def find_wanted(inputs: Inputs, definitions: Mapping[str, str]) -> tuple[Wanted, ...]:
    """Return the services that are to have containers, by the digests of all, with what they are made of."""
    broker = Wanted(SERVICE, "", rabbitmq_image(inputs), files=files_digest(render_broker(inputs)))
    gateway = Wanted(GATEWAY, "", gateway_image(inputs), is_global=inputs.settings.is_swarm)
    scaler = Wanted(SCALER, "", control_image(inputs), inputs.home.code)
    devices, mdns = replace(scaler, service=DEVICES), replace(scaler, service=MDNS)
    dashboard = replace(scaler, service=DASHBOARD, secrets=inputs.login)
    store = Wanted(STORE, "", store_image(inputs) if inputs.settings.has_store else "")
    vmalert = Wanted(VMALERT, "", vmalert_image(inputs) if inputs.has_vmalert else "")
    alertmanager = Wanted(ALERTMANAGER, "")
    if inputs.has_alertmanager:
        alertmanager = replace(alertmanager, image=alertmanager_image(inputs), files=notify_digest(inputs.settings))
    if is_nuclio(inputs.settings):
        dashboard = Wanted(DASHBOARD, "", dashboard_image(inputs))
    nodes = [replace(broker, service=name) for name in list_nodes(inputs.settings)]
    configuration = Wanted(CONFIGURATION, "", gateway_image(inputs), replicas=CONFIGURATION_REPLICAS)
    own = (*nodes, gateway, configuration, store, vmalert, alertmanager, scaler, devices, mdns, dashboard)
    known = {one.service: one for one in (*own, *map(_want, inputs.services))}
    found = [replace(known.get(name, Wanted(name, "")), definition=text) for name, text in definitions.items()]
    return tuple(one for one in found if one.replicas)


def _want(service: Service) -> Wanted:
    files = service.labels.get(FILES_LABEL, "")
    return Wanted(
        service.plan.service, "", service.image, files, secrets=service.secrets_digest, replicas=service.replicas
    )


def find_changes(wanted: Sequence[Wanted], running: Iterable[Running]) -> tuple[Change, ...]:
    """Compare the wanted services with the containers there are."""
    found: dict[str, list[Running]] = {one.service: [] for one in wanted}
    for container in running:
        found.setdefault(container.service, []).append(container)
    changes = [_compare(one, found.pop(one.service)) for one in wanted]
    return (
        *changes,
        *(Change(name, Action.REMOVE, "is no longer wanted", surplus=_ids(own)) for name, own in found.items()),
    )


def find_edits(rendered: Files, present: Files) -> tuple[Change, ...]:
    """Compare the files of .stack/ as they are rendered with those that are there."""
    edited = [path for path, content in rendered.items() if present.get(path, content) != content]
    writes = [Change(path, Action.WRITE, "differs from what is rendered") for path in edited]
    writes += [Change(path, Action.WRITE, "is missing") for path in rendered if path not in present]
    return (*writes, *(Change(path, Action.REMOVE, "is not rendered") for path in present if path not in rendered))


def find_deploys(planned: Iterable[Service], deployed: Iterable[Service]) -> tuple[Change, ...]:
    """Compare functions as they are in their folders with what was deployed of them."""
    before = {one.plan.name: one for one in deployed}
    return tuple(_compare_function(one, before.get(one.plan.name)) for one in planned)


def _compare(wanted: Wanted, containers: Sequence[Running]) -> Change:
    if cut_off := _ids([one for one in containers if one.is_cut_off and one.is_running]):
        return Change(wanted.service, Action.REPLACE, "is cut off from the stack's network", surplus=cut_off)
    right = [one for one in containers if one.definition == wanted.definition]
    running = [one for one in right if one.is_running]
    if wanted.is_global and running and len(running) == len(containers):
        return Change(wanted.service, Action.KEEP, "runs as rendered")
    if len(running) >= wanted.replicas:
        return _compare_surplus(wanted, running[: wanted.replicas], containers=containers)
    if len(right) < len(containers):
        older = _ids([one for one in containers if one not in right])
        return Change(wanted.service, Action.REPLACE, _tell_inputs(wanted, containers), older=older)
    if running or not right:
        return Change(wanted.service, Action.CREATE, f"{len(running)} of {wanted.replicas} run" if running else _ABSENT)
    return Change(wanted.service, Action.START, "is stopped")


def _compare_surplus(wanted: Wanted, right: Sequence[Running], *, containers: Sequence[Running]) -> Change:
    """Return what becomes of other containers than those that are as they should be."""
    others = [one for one in containers if one not in right]
    # An `up` that was interrupted has left older ones, which do the work until the others can.
    working = [one for one in others if one.is_running and one.definition != wanted.definition]
    if working and not all(one.is_ready for one in right):
        surplus = _ids(one for one in others if one not in working)
        return Change(wanted.service, Action.REPLACE, "is being replaced", surplus=surplus, older=_ids(working))
    reason = f"{len(others)} more than the {wanted.replicas} wanted" if others else "runs as rendered"
    return Change(wanted.service, Action.REMOVE if others else Action.KEEP, reason, surplus=_ids(others))


def _tell_inputs(wanted: Wanted, containers: Sequence[Running]) -> str:
    """Say which input of a service changed, as far as labels tell it."""
    pairs = {"image": "its image", "files": "its files", "secrets": "its secrets"}
    changed = [
        what
        for field, what in pairs.items()
        if any(getattr(one, field) != getattr(wanted, field) for one in containers)
    ]
    return f"{' and '.join(changed) or 'its configuration'} changed"


def _compare_function(planned: Service, deployed: Service | None) -> Change:
    name = planned.plan.name
    if deployed is None:
        return Change(name, Action.CREATE, "is not deployed", DEPLOY)
    if planned.plan.function.config != deployed.plan.function.config:
        return Change(name, Action.REPLACE, "its function.yaml changed", DEPLOY)
    if planned.image != deployed.image:
        return Change(name, Action.REPLACE, "its code changed, or what its image stands on", DEPLOY)
    return Change(name, Action.KEEP, "is deployed as it is", DEPLOY)


def _ids(containers: Iterable[Running]) -> tuple[str, ...]:
    return tuple(one.id for one in containers)


# Lines around a change that stay the same and are shown with it.
_AROUND = 3
# Longer files take long to compare and no one reads it.
_MOST_LINES = 5_000


@dataclass(frozen=True)
class Line:
    """One line of a difference: `kind` is same, added, removed, or skipped before lines that are not shown."""

    kind: str
    text: str


@dataclass(frozen=True)
class FileDifference:
    """One file that differs: `kind` is added, removed or changed; of what is no text there are no lines."""

    path: str
    kind: str
    lines: tuple[Line, ...]

    @property
    def added(self) -> int:
        """Return how many lines are new."""
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        """Return how many lines are gone."""
        return sum(line.kind == "removed" for line in self.lines)


def compare_files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[FileDifference, ...]:
    """Return the files that differ, by their paths."""
    paths = sorted({*before, *after})
    return tuple(
        _compare_difference(path, before, after=after) for path in paths if before.get(path) != after.get(path)
    )


def _compare_difference(path: str, before: Mapping[str, bytes], *, after: Mapping[str, bytes]) -> FileDifference:
    kind = "changed" if path in before and path in after else "added" if path in after else "removed"
    old, new = (_read_lines(files.get(path, b"")) for files in (before, after))
    if old is None or new is None or max(len(old), len(new)) > _MOST_LINES:
        return FileDifference(path, kind, ())
    return FileDifference(path, kind, tuple(_compare_lines(old, new)))


def _read_lines(content: bytes) -> list[str] | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines()


def _compare_lines(old: list[str], new: list[str]) -> Iterator[Line]:
    shown = 0
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_AROUND):
        if group[0][1] > shown:
            yield Line("skipped", _tell_place(group[0][1], group[0][3]))
        for tag, begin, end, new_begin, new_end in group:
            if tag == "equal":
                yield from (Line("same", text) for text in old[begin:end])
                continue
            yield from (Line("removed", text) for text in old[begin:end])
            yield from (Line("added", text) for text in new[new_begin:new_end])
        shown = group[-1][2]


def _tell_place(old: int, new: int) -> str:
    return f"line {old + 1}" if old == new else f"line {old + 1}, now {new + 1}"
