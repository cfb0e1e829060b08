import ctypes
import os
import time
from pathlib import Path


def handler(context, event):
    print(f"began {event.path}")
    if event.path == "/sleep":
        time.sleep(30)
    if event.path == "/hold":
        # PyDLL keeps the interpreter's lock, as C code does that computes for long.
        ctypes.PyDLL(None).sleep(30)
    if event.path.startswith("/for"):
        time.sleep(float(event.body))
    if event.path.startswith("/until"):
        wait_for(Path(event.body.decode()))
    return str(os.getpid())


def wait_for(file):
    while not file.exists():
        time.sleep(0.02)


def late_batch(context, events):
    time.sleep(30)
