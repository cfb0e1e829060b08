"""The user's secrets: set, listed and removed; no value is ever shown."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

from stack import console
from stack.config.environment import SecretRef, check_secret_key, check_secret_name
from stack.config.sites import FILE as SITES
from stack.config.sites import load_sites
from stack.config.source import function_folders, load_function
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, HostError, StackError
from stack.plan.broker import BROKER_SECRET, STACK_SECRETS
from stack.plan.function import FunctionPlan, complete_function
from stack.plan.secret import find_wants
from stack.state.deployment import load_live
from stack.state.vault import delete_secret, write_secret

SET, LIST, REMOVE = "set", "list", "remove"
# Kubernetes' limit.
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class SecretCommand:
    """What to do with which secret; `value` or `file` is what to set, else the user is asked or standard input read."""

    action: str
    name: str
    key: str
    value: str = ""
    file: str = ""
    force: bool = False


@dataclass(frozen=True)
class Usage:
    """A secret, and what asks for it: functions, bridges and channels.

    Those in `deployed` run with it, or were built with it.
    """

    secret: SecretRef
    functions: tuple[str, ...]
    deployed: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """Return what --json prints."""
        return {**self.secret._asdict(), "usedBy": self.functions, "deployed": self.deployed}


def handle_secrets(order: SecretCommand, *, as_json: bool) -> None:
    """Set, list or remove secrets.

    Raises:
        StackError: the order is wrong, or a secret that is to be removed is used.
    """
    stack = open_stack()
    if order.action == SET:
        _set(stack, order)
    elif order.action == REMOVE:
        _remove(stack, order)
    elif order.action == LIST:
        _list(stack, as_json=as_json)
    else:
        raise StackError(f"There is no `secret {order.action}`; type {SET}, {LIST} or {REMOVE}.")


def _set(stack: Stack, order: SecretCommand) -> None:
    ref = SecretRef(*_check_names(order.name, order.key))
    content = _read_value(ref, order)
    if not content:
        raise HostError(f"There is no value, so {ref} is as it was: type one, pipe one, or name a --file that has one.")
    if len(content) > _MOST_BYTES:
        raise HostError(f"The value of {ref} is longer than a secret's may be, 1 MiB; nothing was set.")
    if not write_secret(stack.workspace, ref, content=content):
        console.say(f"{ref} was so already.")
        return
    console.success(f"{ref} is set.")
    if users := sorted({plan.name for plan in _deployed_plans(stack) if _runs_with(plan, ref)}):
        console.say(f"Next: `invoke up` replaces {', '.join(users)}, so that it is used.")
    elif places := _find_places(stack, ref):
        console.say(f"Next: `invoke up` has it used for {', '.join(places)}.")
    elif sites := _find_sites(stack, ref):
        console.say(f"It is used for {', '.join(sites)} from now on. Next: `invoke sites` asks there.")
    else:
        console.say(f"Next: in function.yaml, valueFrom: {{secretKeyRef: {{name: {ref.name}, key: {ref.key}}}}}.")


def _remove(stack: Stack, order: SecretCommand) -> None:
    name, key = _check_names(order.name, order.key or None)
    found = [ref for ref in sorted(stack.vault.contents) if ref.name == name and key in ("", ref.key)]
    if not found:
        known = ", ".join(map(str, _list_known(stack)))
        raise HostError(f"There is no secret {name}{'.' if key else ''}{key}. Known: {known}.")
    deployed = _deployed_plans(stack)
    used = [usage for ref in found if (usage := _find_usage(stack, ref, deployed=deployed)).deployed]
    if used and not order.force:
        lines = [f"{usage.secret} is used by {', '.join(usage.deployed)}." for usage in used]
        lines.append("Nothing was removed; --force does it, and they cannot start or be built again.")
        raise HostError("\n".join(lines))
    for ref in found:
        delete_secret(stack.workspace, ref)
    console.success(f"{', '.join(map(str, found))}: removed.")


def _list(stack: Stack, *, as_json: bool) -> None:
    written, deployed = list(_written_plans(stack)), _deployed_plans(stack)
    usages = [_find_usage(stack, ref, deployed=deployed, written=written) for ref in _list_known(stack)]
    if as_json:
        console.show_json([usage.describe() for usage in usages])
        return
    rows = [
        {"name": usage.secret.name, "key": usage.secret.key, "used by": ", ".join(usage.functions) or "-"}
        for usage in usages
    ]
    console.show_table(("name", "key", "used by"), rows)
    console.note("`invoke secret set NAME KEY` sets one. Those of broker are the stack's own.")


def _list_known(stack: Stack) -> list[SecretRef]:
    return sorted({*stack.vault.contents, *STACK_SECRETS})


def _find_usage(
    stack: Stack, ref: SecretRef, *, deployed: Sequence[FunctionPlan], written: Sequence[FunctionPlan] = ()
) -> Usage:
    running = {plan.name for plan in deployed if _uses(plan, ref)}
    running.update(_find_places(stack, ref))
    names = running | {plan.name for plan in written if _uses(plan, ref)} | {*_find_sites(stack, ref)}
    return Usage(ref, tuple(sorted(names)), tuple(sorted(running)))


def _find_places(stack: Stack, ref: SecretRef) -> list[str]:
    """Return what of stack.yaml asks for a secret."""
    bridges = [f"bridge {one.name}" for one in stack.settings.bridge if one.secret_ref == ref]
    return bridges + [f"channel {name}" for name, used in stack.settings.notify.secrets.items() if used == ref]


def _find_sites(stack: Stack, ref: SecretRef) -> list[str]:
    """Return the sites of sites.yaml that a secret lets in."""
    path = stack.workspace.root / SITES
    try:
        found = load_sites(path) if path.is_file() else ()
    except ConfigError:
        return []
    return [f"site {one.name}" for one in found if one.secret == str(ref)]


def _uses(plan: FunctionPlan, ref: SecretRef) -> bool:
    return _runs_with(plan, ref) or plan.spec.build.code_entry_attributes.secret == ref.name


def _runs_with(plan: FunctionPlan, ref: SecretRef) -> bool:
    return any(want.takes(ref) for want in find_wants(plan))


def _deployed_plans(stack: Stack) -> list[FunctionPlan]:
    """Return what is deployed, or is on its way to be."""
    return [deployment.plan(stack.settings) for deployment in load_live(stack.workspace, ())]


def _written_plans(stack: Stack) -> Iterator[FunctionPlan]:
    """Yield the functions in functions/ as far as they can be read: a mistake in one does not hide the others."""
    for folder in function_folders(stack.workspace.root).values():
        try:
            plan = complete_function(load_function(folder), "", settings=stack.settings)
            find_wants(plan)
        except ConfigError as error:
            console.warn(str(error))
        else:
            yield plan


def _check_names(name: str, key: str | None) -> tuple[str, str]:
    """Check what the user typed; a key of None is that of no key in particular.

    Raises:
        StackError: there can be no such secret, or it is the stack's own.
    """
    if not name or key == "":
        raise StackError("Name a secret and a key: invoke secret set NAME KEY.")
    try:
        check_secret_name(name)
        check_secret_key(key or "any")
    except ValueError as error:
        raise StackError(f"The name or key of a secret {error}.") from error
    if name == BROKER_SECRET.name:
        raise StackError(f"{name} is the stack's own; `invoke credentials` makes the broker's password.")
    return name, key or ""


def _read_value(ref: SecretRef, order: SecretCommand) -> bytes:
    if order.value and order.file:
        raise StackError("Give --value or --file, not both.")
    if order.value:
        console.warn("The value stays in your shell's history; without --value it is asked for.")
        return order.value.encode("utf-8", "surrogateescape")
    if order.file:
        return _read_file(Path(order.file))
    if sys.stdin.isatty():
        return _ask(ref)
    # What `echo` and most commands end with is no part of the value.
    return sys.stdin.buffer.read(_MOST_BYTES + 3).removesuffix(b"\n").removesuffix(b"\r")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. Name another --file.") from error


def _ask(ref: SecretRef) -> bytes:
    try:
        return getpass(f"Value of {ref} (it does not show): ").encode("utf-8", "surrogateescape")
    except EOFError:
        return b""
