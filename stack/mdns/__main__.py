"""The container of `mdns`: `python -m stack.mdns HTTPS-PORT MQTTS-PORT NAME...`."""

import signal
import sys
import threading
from functools import partial
from pathlib import Path

from stack.mdns.announce import announce, build_services

# Its age tells the container's health check that all goes on.
_ALIVE = Path("/tmp/alive")
# How often this machine's addresses are looked at.
_SECONDS = 15.0


def main() -> None:
    """Tell the network of the names until the container is stopped."""
    https, mqtts, *names = sys.argv[1:]
    stop = threading.Event()

    def wait() -> bool:
        _ALIVE.touch()
        return not stop.wait(_SECONDS)

    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    announce(partial(build_services, names, https=int(https), mqtts=int(mqtts)), wait)


if __name__ == "__main__":
    main()
