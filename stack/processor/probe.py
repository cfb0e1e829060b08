"""The container's health check: it runs every few seconds, so it imports next to nothing."""

import socket

HEALTH_PORT = 8082

_TIMEOUT = 5.0


def probe(port: int) -> int:
    """Ask the processor on this machine whether it is ready; return the exit status, 0 if it is."""
    try:
        with socket.socket() as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(("127.0.0.1", port))
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.makefile("rb").read()
    except OSError as error:
        print(f"port {port}: {error}")
        return 1
    print(answer.partition(b"\r\n\r\n")[2].decode(errors="replace"))
    return 0 if answer.split(b" ", 2)[1:2] == [b"200"] else 1
