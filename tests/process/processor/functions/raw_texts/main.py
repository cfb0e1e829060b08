def handler(context, event):
    attributes = {name: value for name, value in vars(event).items() if name not in ("trigger", "timestamp")}
    attributes["trigger"] = (event.trigger.kind, event.trigger.name)
    return repr(attributes)
