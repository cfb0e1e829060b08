"""Answers each temperature that arrives over MQTT with a line in the queue iot/logs."""


def handler(context, event):
    """Tell iot/logs what arrived; the line leaves when this returns, and an exception has the event delivered again."""
    data = event.body.decode(errors="replace") if isinstance(event.body, bytes) else str(event.body)
    # A user property of MQTT 5; older devices send none.
    reading = event.get_header("reading") or ""
    context.outputs.logs.send(f"Invoked Function mqttconsume on {data}", correlation_id=reading)
    return f"feedback {data}"
