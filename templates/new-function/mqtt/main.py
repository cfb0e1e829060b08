"""Publishes an alert over MQTT for each temperature above a limit."""

import math
import os

LIMIT = float(os.environ.get("LIMIT", "25"))


def handler(context, event):
    """Make an alert of a reading that is too high; it leaves once this returns, and not if this raises."""
    try:
        value = float(event.body)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        context.logger.warn_with("Passed over what is no temperature", body=repr(event.body)[:80])
        return "no temperature"
    if value <= LIMIT:
        return "normal"
    context.outputs.alerts.send({"value": value, "limit": LIMIT})
    context.logger.warn_with("Alert", value=value, limit=LIMIT)
    return "alert"
