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
    if event.path == "/unblock":
        for descriptor in range(256):
            with suppress(OSError):
                os.set_blocking(descriptor, False)
    return str(os.getpid())
