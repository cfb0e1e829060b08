"""Publishes an alert when a sensor's average temperature rises above a threshold, and one when it is normal again."""

import math
import os
from collections import deque
from datetime import datetime
from statistics import fmean

THRESHOLD = float(os.environ.get("THRESHOLD", "25"))
HYSTERESIS = float(os.environ.get("HYSTERESIS", "0.5"))
WINDOW = int(os.environ.get("WINDOW", "5"))


def init_context(context):
    """Begin without any reading; each trigger's worker has a memory of its own."""
    context.user_data.windows = {}
    context.user_data.states = {}


def handler(context, event):
    """Take one reading into its sensor's window, and tell if the sensor's state changes."""
    value = read_temperature(event.body)
    if value is None:
        context.logger.warn_with("Passed over what is no temperature", body=repr(event.body)[:80])
        return "no temperature"
    memory = context.user_data
    sensor = event.get_header("sensor") or event.path
    window = deque(memory.windows.get(sensor, ()), WINDOW)
    window.append(value)
    average = fmean(window)
    before = memory.states.get(sensor, "normal")
    state = judge(before, average)
    if state != before:
        context.outputs.alerts.send(describe(sensor, state, average), now=True)
    # Only now that it has arrived: an event that failed comes again, and must not count twice.
    memory.windows[sensor], memory.states[sensor] = window, state
    return state


def read_temperature(body):
    """Return the number that a body holds, or None."""
    try:
        value = float(body)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def judge(state, average):
    """Return the new state; between the two limits it stays as it is, so that noise rings no bell."""
    if average > THRESHOLD:
        return "high"
    return "normal" if average <= THRESHOLD - HYSTERESIS else state


def describe(sensor, state, average):
    """Return an alert."""
    time = datetime.now().astimezone().isoformat()
    return {"sensor": sensor, "state": state, "average": round(average, 2), "threshold": THRESHOLD, "time": time}
