"""The stack's files and containers: rendered, taken down, and their logs."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from stack import console
from stack.docker.gateway import settle_gateway
from stack.docker.stack import Stack, check_owner, open_stack, warn_ignored, warn_refused
from stack.docker.swarm.driver import open_driver
from stack.docker.swarm.registry import remove_registry
from stack.docker.volume import list_volumes, remove_volume
from stack.errors import EngineError, FunctionError
from stack.plan.account import erlang_cookie
from stack.plan.bridge import secure_bridges
from stack.plan.inputs import Inputs
from stack.plan.notify import list_secrets
from stack.plan.render import ACCOUNTS, render, used_secrets
from stack.plan.stack import check_exposure
from stack.plan.swarm import COOKIE_FILE
from stack.plan.template import Files
from stack.rabbitmq.account import settle_accounts
from stack.run.alert_check import keep_checked
from stack.state.access import (
    write_bridge_authorities,
    write_devices_login,
    write_gateway_login,
    write_grafana_login,
    write_notify_secrets,
    write_store_login,
)
from stack.state.broker import begin_cluster
from stack.state.deployment import list_unreadable
from stack.state.lock import TREE, find_rollouts, lock, stack_lock
from stack.state.tls import find_authority_end, find_server_names, has_bad_authority, load_server_certificate, make_tls
from stack.state.vault import mount_secrets, unmount_secrets
from stack.state.workspace import is_inside, write_file, write_tree

# The last certificates of servers that end before it are made then.
_AUTHORITY_SOON = timedelta(days=365)


def write_stack(
    stack: Stack, inputs: Inputs, own: Collection[str] = (), *, files: Files | None = None, starts_gateway: bool = False
) -> tuple[str, ...]:
    """Write the tree, rendered here if not before, and have the gateway go by it; return the paths that changed.

    Where a gateway is about to be started in the place of one that runs, that one is left as it is.
    Alerts and channels are written of `files` alone, which were checked: their programs would not start with a mistake.
    What the containers mount of functions that are being deployed, other than one's own, is left to who does it.
    """
    theirs = find_rollouts(stack.workspace).difference(own)
    coming = [one for name in theirs if (one := stack.find_coming(name))]
    mount_secrets(stack.workspace, stack.vault, mounts=used_secrets(inputs.services))
    is_checked = files is not None
    files, before = files or keep_checked(stack, render(inputs)), stack.rendered_accounts
    if list_unreadable(stack.workspace):
        # Nothing is removed of functions that cannot be read.
        before = b""
    else:
        unmount_secrets(stack.workspace, used_secrets([*inputs.services, *coming]))
    _write_logins(stack, inputs, keeps_others=not is_checked)
    changed = write_tree(stack.workspace, files, leaving=theirs)
    settle_accounts(stack, before, after=files[ACCOUNTS])
    settle_gateway(stack.engine, stack.settings, files=files, is_ending=starts_gateway)
    return changed


def _write_logins(stack: Stack, inputs: Inputs, *, keeps_others: bool) -> None:
    """Write what the stack's own parts log in with, and whom they trust.

    `keeps_others` has passwords of channels stay which the configuration that is written does not name.
    """
    write_gateway_login(stack.workspace, inputs.gateway_login)
    if inputs.settings.has_store:
        write_store_login(stack.workspace, inputs.accounts.key)
    if inputs.settings.data.grafana:
        write_grafana_login(stack.workspace, inputs.accounts.key)
    if inputs.settings.broker.nodes > 1:
        write_file(stack.workspace.rendered / COOKIE_FILE, erlang_cookie(inputs.accounts.key).get_secret_value(), 0o600)
    if inputs.has_devices:
        write_devices_login(stack.workspace, inputs.accounts.key)
    if inputs.has_alertmanager:
        secrets = list_secrets(inputs.settings.notify, stack.vault)
        write_notify_secrets(stack.workspace, secrets, keeps_others=keeps_others)
    if secure := secure_bridges(inputs.settings.bridge):
        write_bridge_authorities(stack.workspace, secure)


def prepare_certificates(stack: Stack) -> Stack:
    """Have the servers' certificate where there is to be TLS, and return the stack with it.

    Raises:
        StackError: a file of the user's own is wrong, or one cannot be read or written.
    """
    if not stack.settings.tls.is_on:
        return stack
    before, was_bad = stack.bare_inputs.certificate, has_bad_authority(stack.workspace)
    served = make_tls(stack.workspace, stack.settings, names=_list_server_names(stack))
    if stack.settings.tls.certificate and (trouble := served.find_trouble(stack.settings.tls.certificate)):
        console.warn(str(trouble))
    _warn_authority(find_authority_end(stack.workspace), is_new=was_bad)
    return stack.reread() if load_server_certificate(stack.workspace) != before else stack


def _warn_authority(end: datetime, *, is_new: bool) -> None:
    left = end - datetime.now(UTC)
    if is_new:
        advice = "Give its certificate to devices and browsers again; `invoke device rotate` renews a device's own."
        console.warn(f"The stack's own authority was made by a clock that was not set; another is there. {advice}")
    elif left < _AUTHORITY_SOON:
        ends = "ends" if left > timedelta() else "has ended"
        advice = "docs/guides/tls.md tells how another takes its place."
        console.warn(f"The stack's own authority {ends} on {end.date()}, and with it all that it has signed. {advice}")


def _list_server_names(stack: Stack) -> list[str]:
    """Return what the servers' certificate is for; a container has other addresses than its machine, and adds none."""
    if is_inside():
        return [*stack.settings.tls.names, *stack.bare_inputs.certificate.names]
    return find_server_names(stack.settings, stack.bare_inputs.home.names)


def render_stack() -> None:
    """Write .stack/ and start nothing."""
    stack = open_stack()
    check_exposure(stack.settings, stack.credentials, has_login=stack.access is not None)
    stack.check_login()
    warn_ignored((one.plan.function for one in stack.undeployed), has_nodes=stack.engine.is_swarm)
    warn_refused(stack)
    with lock(stack.workspace, TREE):
        fresh = prepare_certificates(stack.reread())
        changed = write_stack(fresh, fresh.inputs)
    console.say(f"{len(changed)} files changed under {stack.workspace.rendered}.")
    if stack.engine.is_swarm:
        console.say("Next: `invoke up` makes the images, gives them to all machines, and deploys it.")
        return
    console.say(
        "Next: `invoke up` makes the images and starts it; `docker compose --file .stack/compose.yaml up -d` does"
    )
    console.say("the same with the images that are there.")


def take_down(*, volumes: bool) -> None:
    """Stop and remove every container; with `volumes` the broker's data too, and what functions keep.

    Raises:
        HostError: they are another workspace's.
    """
    stack = open_stack()
    open_driver(stack.engine).check()
    check_owner(stack.workspace, stack.settings.project, containers=stack.engine.listed())
    with stack_lock(stack.workspace):
        if not stack.engine.compose_file.is_file():
            write_stack(stack, stack.inputs)
        with console.working("Stopping"):
            stack.engine.keep_logs(stack.engine.listed())
            open_driver(stack.engine).down(volumes=volumes)
            if stack.settings.has_own_registry:
                remove_registry(stack.settings.project, volumes=volumes)
            # Compose knows those of functions no more that are deleted.
            for one in list_volumes(stack.settings.project) if volumes else ():
                remove_volume(one.name)
            if volumes and stack.settings.broker.nodes > 1:
                begin_cluster(stack.workspace)
    gone = " The data of the broker and of functions is gone."
    console.success("Nothing runs any more." + (gone if volumes else " The data is kept."))
    console.say("Next: `invoke up` starts it again, with the same functions.")


def print_logs(name: str, *, follow: bool, previous: bool = False) -> None:
    """Print the logs of one function or service, or of all; `previous` is what a function's last container said.

    Raises:
        FunctionError: there is no container of that name, or none before it.
    """
    stack = open_stack()
    if previous:
        _print_previous(stack, name)
        return
    open_driver(stack.engine).check()
    services = {container.service for container in stack.engine.containers()}
    chosen = [service for service in (name, f"function-{name}") if service in services] if name else []
    if not services or (name and not chosen):
        known = ", ".join(sorted(service.removeprefix("function-") for service in services)) or "nothing"
        raise FunctionError(f"There is no container of {name or 'this stack'}. What runs: {known}.")
    if open_driver(stack.engine).follow_logs(chosen, follow=follow):
        raise EngineError("Docker could not show the logs; the lines above say why.")


def _print_previous(stack: Stack, name: str) -> None:
    """Print what the container said that was removed last of a function."""
    kept = stack.engine.kept_logs(name) if name and "/" not in name else []
    if not kept:
        whose = name or "a function: invoke logs NAME --previous"
        raise FunctionError(f"Nothing is kept of an older container of {whose}.")
    console.show_text(kept[-1].read_text(encoding="utf-8", errors="replace"))
    if kept[:-1]:
        console.note(f"{len(kept) - 1} older: {kept[-1].parent}.")
