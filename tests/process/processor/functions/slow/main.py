import time
from pathlib import Path


def handler(context, event):
    print(f"began {event.path}")
    if event.path.startswith("/until"):
        wait_for(Path(event.body.decode()))
    else:
        time.sleep(float(event.body or 0))
    return context.worker_id


def wait_for(file):
    while not file.exists():
        time.sleep(0.02)
