"""Answers each temperature that arrives over AMQP with a line in the queue iot/logs."""

import os

from feedback import Feedback


def init_context(context):
    """Connect once for each worker, not once for each event."""
    context.user_data.feedback = Feedback(os.environ["BROKER_URL"])


def handler(context, event):
    """Tell iot/logs what arrived; an exception here has the platform deliver the event again."""
    data = event.body.decode(errors="replace") if isinstance(event.body, bytes) else str(event.body)
    reading = event.get_header("reading") or event.id
    context.user_data.feedback.send(f"Invoked Function amqpconsume on {data}", reading)
    return f"feedback {data}"
