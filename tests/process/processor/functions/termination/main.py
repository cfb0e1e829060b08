import time
from pathlib import Path


def init_context(context):
    context.platform.set_termination_callback(lambda: print("terminated"))


def handler(context, event):
    print("began")
    if event.path == "/until":
        wait_for(Path(event.body.decode()))
    else:
        time.sleep(float(event.body or 0))
    print("handled")
    return "done"


def wait_for(file):
    while not file.exists():
        time.sleep(0.02)
