import time
from pathlib import Path


def handler(context, event):
    if event.path == "/talk":
        return talk(context, Path(event.body.decode()))
    return "quiet"


def talk(context, end):
    """Write ten thousand lines a second, as far as the machine can, until there is a file; return how many."""
    began = time.monotonic()
    count = 0
    while not end.exists():
        context.logger.info_with(f"line {count} of many", reading=21.5)
        count += 1
        time.sleep(max(0.0, began + count / 10_000 - time.monotonic()))
    return str(count)
