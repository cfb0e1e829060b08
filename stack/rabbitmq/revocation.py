"""Which certificates are revoked, told to the nodes of a broker of several: most see no file of the workspace."""

from contextlib import suppress
from pathlib import Path

from stack import console
from stack.docker.client import execute, pack, unpack
from stack.docker.stack import Stack
from stack.errors import EngineError
from stack.plan.broker import SERVICE, is_node
from stack.plan.tls import MOUNTED, REVOKED_FOLDER, REVOKED_SUFFIX

_FOLDER = "/tmp"
# What a node of Erlang has all nodes do: each reads the list at every handshake, so it gets its name when it is whole.
_WRITE = """
{{ok, Content}} = file:read_file("{source}"), Path = "{target}", New = Path ++ ".new",
Ask = fun(Module, Name, Arguments) -> erpc:multicall([node() | nodes()], Module, Name, Arguments, 10000) end,
Ask(filelib, ensure_dir, [Path]), Ask(file, write_file, [New, Content]),
length([node || {{ok, ok}} <- Ask(file, rename, [New, Path])]).
"""


def send_revocations(stack: Stack) -> None:
    """Have all nodes of a broker of several refuse what is revoked; they keep it when they start again.

    Where some cannot be told that is only said; where none runs `up` tells them.
    """
    nodes = stack.settings.broker.nodes
    files = sorted((stack.workspace.rendered / MOUNTED).glob(f"*{REVOKED_SUFFIX}"))
    if nodes == 1 or not (stack.settings.tls.is_on and files):
        return
    try:
        running = [one for one in stack.engine.listed() if is_node(one.service) and one.is_running]
        first = [one.id for one in running if one.service == SERVICE]
        told = min(_send(first[0], one) for one in files) if first else 0
    except EngineError as error:
        console.warn(f"The broker was not told which certificates are revoked, and will be by `invoke up`: {error}")
        return
    if running and told < nodes:
        console.warn(
            f"{told} of the broker's {nodes} nodes know which certificates are revoked; the others may still take one. "
            "Type `invoke up` once `invoke nodes` shows all machines as ready."
        )


def _send(container: str, path: Path) -> int:
    """Give all nodes a list by one of them; return how many have it."""
    unpack(container, _FOLDER, iter((pack({path.name: path.read_bytes()}),)))
    expression = _WRITE.format(source=f"{_FOLDER}/{path.name}", target=f"{REVOKED_FOLDER}/{path.name}")
    answer = execute(container, "rabbitmqctl", "--quiet", "eval", expression)
    with suppress(ValueError):
        return int(answer)
    return 0
