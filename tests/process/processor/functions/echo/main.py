import json


def handler(context, event):
    attributes = {name: value for name, value in vars(event).items() if name not in ("trigger", "body")}
    body = event.body if not isinstance(event.body, bytes) else {"bytes": event.body.decode("latin-1")}
    trigger = [event.trigger.kind, event.trigger.name]
    return json.dumps({**attributes, "body": body, "trigger": trigger, "worker": context.worker_id}, default=str)
