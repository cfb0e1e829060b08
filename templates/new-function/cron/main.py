"""Does a job every ten seconds."""

import json


def init_context(context):
    """Begin to count; each container has a memory of its own."""
    context.user_data.runs = 0


def handler(context, event):
    """Do the job that the trigger's event names; a run that fails is logged, and the next comes by the clock."""
    job = json.loads(event.body)["job"]
    context.user_data.runs += 1
    context.logger.info_with("Done", job=job, runs=context.user_data.runs)
    return f"{job} {context.user_data.runs}"
