"""How this program reaches a function's container: itself, or from within the stack through the gateway.

Tidegate's own containers are on another network than functions, so that no function reaches them.
"""

from stack.plan.gateway import CONTAINERS_PATH, CONTROL_PORT, SERVICE
from stack.run.place import is_inside


def find_place(host: str, port: int) -> tuple[str, int]:
    """Return the host and port to connect to for a port of a container, by its address or its service's name."""
    return (SERVICE, CONTROL_PORT) if is_inside() else (host, port)


def find_path(host: str, port: int, path: str) -> str:
    """Return what to ask for there."""
    return f"{CONTAINERS_PATH}{host}/{port}{path}" if is_inside() else path


def find_url(host: str, port: int, path: str = "") -> str:
    """Return both as a URL."""
    place = find_place(host, port)
    return f"http://{place[0]}:{place[1]}{find_path(host, port, path)}"
