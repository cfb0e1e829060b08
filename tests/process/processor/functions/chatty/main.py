import time


def handler(context, event):
    if event.path == "/talk":
        talk(context, float(event.body))
    return "quiet"


def talk(context, seconds):
    """Write ten thousand lines a second."""
    began = time.monotonic()
    count = 0
    while (passed := time.monotonic() - began) < seconds:
        while count < passed * 10_000:
            context.logger.info_with(f"line {count} of many", reading=21.5)
            count += 1
        time.sleep(0.001)
