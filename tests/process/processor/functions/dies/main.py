import os
import signal
from contextlib import suppress


def handler(context, event):
    if event.path == "/exit":
        os._exit(3)
    if event.path == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event.path == "/close":
        for descriptor in range(3, 256):
            with suppress(OSError):
                os.close(descriptor)
    return str(os.getpid())
