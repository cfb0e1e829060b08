"""Short questions to running processors: they are asked again and again, so they import next to nothing."""

import json
import socket
import threading
from collections.abc import Sequence

from stack.contract import HEALTH_PORT

_TIMEOUT = 5.0
# Seconds for each of many, which are asked at once while a person waits.
_SHORT_TIMEOUT = 1.0


def run(arguments: Sequence[str]) -> int:
    """Make a health check, `--health [--health-port PORT]`, or tell the states of hosts, `--states HOST…`."""
    if arguments[0] == "--states":
        return print_states(arguments[1:])
    return probe(int(arguments[2]) if arguments[1:2] == ["--health-port"] else HEALTH_PORT)


def probe(port: int) -> int:
    """Ask the processor on this machine whether it is ready; return the exit status, 0 if it is."""
    try:
        answer = _ask("127.0.0.1", port, path="/ready", timeout=_TIMEOUT)
    except OSError as error:
        print(f"port {port}: {error}")
        return 1
    print(answer.partition(b"\r\n\r\n")[2].decode(errors="replace"))
    return 0 if answer.split(b" ", 2)[1:2] == [b"200"] else 1


def print_states(hosts: Sequence[str]) -> int:
    """Print one JSON document: what the processor on each host says of itself; one that does not answer is left out.

    One container of a stack is asked for all of them, since this machine cannot reach their addresses where Docker is
    rootless or in a virtual machine.
    """
    states: dict[str, object] = {}
    threads = [threading.Thread(target=_fetch, args=(host, states), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SHORT_TIMEOUT)
    print(json.dumps(dict(states)))
    return 0


def _fetch(host: str, states: dict[str, object]) -> None:
    try:
        answer = _ask(host, HEALTH_PORT, path="/status", timeout=_SHORT_TIMEOUT)
        states[host] = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return


def _ask(host: str, port: int, *, path: str, timeout: float) -> bytes:
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.read()
