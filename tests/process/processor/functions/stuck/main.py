import ctypes
import os
import time


def handler(context, event):
    print(f"began {event.path}")
    if event.path == "/sleep":
        time.sleep(30)
    if event.path == "/hold":
        # PyDLL keeps the interpreter's lock, as C code does that computes for long.
        ctypes.PyDLL(None).sleep(30)
    if event.path.startswith("/for"):
        time.sleep(float(event.body))
    return str(os.getpid())


def late_batch(context, events):
    time.sleep(30)
