"""Publishes an alert when a sensor's average temperature rises above a threshold, and one when it is normal again."""

import os
from datetime import datetime
from math import isfinite
from statistics import fmean

THRESHOLD, HYSTERESIS = float(os.environ.get("THRESHOLD", "25")), float(os.environ.get("HYSTERESIS", "0.5"))
WINDOW = int(os.environ.get("WINDOW", "5"))


def init_context(context):
    """Begin without any reading; each trigger's worker has a memory of its own."""
    context.user_data.sensors = {}


def handler(context, event):
    """Take one reading into its sensor's window, and tell if the sensor's state changes."""
    try:
        value = float(event.body)
    except (TypeError, ValueError):
        value = float("nan")
    if not isfinite(value):
        context.logger.warn_with("Passed over what is no temperature", body=repr(event.body)[:80])
        return "no temperature"
    sensor, sensors = event.get_header("sensor") or event.path, context.user_data.sensors
    before, window = sensors.get(sensor, ("normal", ()))
    window = (*window, value)[-WINDOW:]
    average = fmean(window)
    # Between the two limits it stays as it is, so that noise makes no alerts.
    state = "high" if average > THRESHOLD else "normal" if average <= THRESHOLD - HYSTERESIS else before
    if state != before:
        alert = {"sensor": sensor, "state": state, "average": round(average, 2), "threshold": THRESHOLD}
        context.outputs.alerts.send({**alert, "time": datetime.now().astimezone().isoformat()}, now=True)
    # Only now that it has arrived: an event that failed comes again, and must not count twice.
    sensors[sensor] = state, window
    return state
