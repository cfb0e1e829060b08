"""Notes the lowest and the highest of the temperatures that arrive over AMQP."""

import math


def init_context(context):
    """Begin without any reading; each worker has a memory of its own."""
    context.user_data.lowest, context.user_data.highest = math.inf, -math.inf


def handler(context, event):
    """Take one reading; an exception here would have it delivered again."""
    try:
        value = float(event.body)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        context.logger.warn_with("Passed over what is no temperature", body=repr(event.body)[:80])
        return "no temperature"
    memory = context.user_data
    memory.lowest, memory.highest = min(memory.lowest, value), max(memory.highest, value)
    context.logger.info_with("Reading", value=value, lowest=memory.lowest, highest=memory.highest)
    return f"{memory.lowest} to {memory.highest}"
