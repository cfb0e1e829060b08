"""The servers' certificate of a stack: made and renewed with it, and `invoke certificates`."""

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes

from stack import console
from stack.config.network import check_server_name
from stack.config.settings import FILE
from stack.config.yaml_edit import set_value
from stack.docker.stack import Stack, open_stack
from stack.docker.swarm.driver import open_driver
from stack.errors import ConfigError, StackError
from stack.plan.broker import list_nodes
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.tls import MOUNTED
from stack.run.broker_nodes import start_nodes
from stack.run.stack import prepare_certificates, write_stack
from stack.state.lock import stack_lock
from stack.state.tls import Served, authority_path, find_missing_issuer, make_tls, needs_renewal, read_certificate
from stack.state.workspace import Workspace, become_owner, open_workspace, write_file


def renew_certificates(stack: Stack) -> None:
    """Renew the servers' certificate if it ends soon: the gateway reads it at once, the broker within two minutes.

    In a Swarm they have it as a secret, and start again with another, one after the other.

    Raises:
        StackError: a file cannot be read or written.
    """
    if not needs_renewal(stack.workspace, stack.settings):
        return
    with stack_lock(stack.workspace):
        make_tls(stack.workspace, stack.settings, names=stack.bare_inputs.certificate.names)
        fresh = stack.reread()
        write_stack(fresh, fresh.inputs)
        _hand_over(fresh)


def _hand_over(stack: Stack) -> None:
    """Have those of a Swarm that show the certificate, and run, start again with it; why that fails is only told."""
    if not (stack.engine.is_swarm and (containers := stack.engine.listed())):
        return
    nodes = list_nodes(stack.settings) if stack.settings.broker.nodes > 1 else ()
    try:
        open_driver(stack.engine).up(start_nodes(stack, [*nodes, GATEWAY], containers))
    except StackError as error:
        console.warn(f"Not all machines show the new certificate yet; `invoke up` sees to it: {error}")


def make_certificates(names: Sequence[str], *, as_json: bool) -> None:
    """Make the stack's authority and the servers' certificate, or renew it, and say which they are.

    More names are written into stack.yaml, which has ports with TLS from then on. Root, as which hooks of ACME clients
    run, goes on as the one whose folder it is, who is to read all of it later.

    Raises:
        StackError: a name is none, or a file cannot be read or written.
    """
    workspace = open_workspace()
    become_owner(workspace.root)
    _write_names(workspace, names)
    with stack_lock(workspace):
        before = open_stack(workspace)
        stack = prepare_certificates(before)
        if _is_rendered(stack):
            write_stack(stack, stack.inputs)
            if stack is not before:
                _hand_over(stack)
    served = make_tls(workspace, stack.settings, names=stack.bare_inputs.certificate.names)
    is_own, is_shown = bool(stack.settings.tls.certificate), _is_rendered(stack)
    _print(workspace, served, is_own=is_own, is_shown=is_shown, as_json=as_json)


def _is_rendered(stack: Stack) -> bool:
    """Return whether the stack has ports with TLS already, which it has from `up` on: its gateway reads files for them.

    One that was made without them would refuse what is rendered for them.
    """
    file = stack.engine.compose_file
    return file.is_file() and MOUNTED in file.read_text()


def _write_names(workspace: Workspace, names: Sequence[str]) -> None:
    """Add names to tls.names in stack.yaml, or turn TLS on there."""
    tls = open_stack(workspace).settings.tls
    try:
        new = [one for one in map(check_server_name, names) if one not in tls.names]
    except ValueError as error:
        raise ConfigError([f"--name {error}"]) from error
    path = workspace.root / FILE
    text = path.read_text() if path.is_file() else ""
    told = []
    if new:
        text = set_value(text, ("tls", "names"), [*tls.names, *new])
        told.append(f"tls.names has {', '.join(new)}")
    if not (tls.is_on or (new and tls.enabled is None)):
        text = set_value(text, ("tls", "enabled"), True)
        told.append("tls.enabled is true")
    if told:
        write_file(path, text.encode())
        console.note(f"{FILE}: {' and '.join(told)} now.")


def _print(workspace: Workspace, served: Served, *, is_own: bool, is_shown: bool, as_json: bool) -> None:
    path = authority_path(workspace)
    authority = read_certificate(path.read_bytes())
    document = {
        "names": list(served.names),
        "ends": served.end.isoformat(timespec="seconds"),
        "authority": str(path),
        "fingerprint": authority.fingerprint(hashes.SHA256()).hex(":").upper(),
        "authorityEnds": authority.not_valid_after_utc.isoformat(timespec="seconds"),
    }
    if as_json:
        console.show_json(document)
        return
    if is_own and (issuer := find_missing_issuer(workspace)):
        advice = "If that is no authority that clients know, add its certificate to the file."
        console.warn(f"tls.certificate has no certificate of its issuer, {issuer}. {advice}")
    console.show(f"names: {', '.join(served.names)}")
    renewal = "renew it before, and type this again" if is_own else "`up` and the dashboard renew it before"
    console.show(f"ends: {served.end.date()}; {renewal}")
    console.show(f"authority{' of devices' if is_own else ''}: {path}")
    console.show(f"its fingerprint (SHA-256): {document['fingerprint']}")
    trust = "" if is_own else " Devices and browsers trust them by the authority's file."
    after = "The servers show it within two minutes." if is_shown else "Next: `invoke up` has the ports with TLS."
    console.say(f"{after}{trust}")
