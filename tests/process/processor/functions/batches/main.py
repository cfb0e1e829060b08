import json
import os


def handler(context, events):
    print(f"batch of {len(events)}")
    bodies = [event.body.decode() for event in events]
    if "fail" in bodies:
        raise ValueError("the batch failed")
    if "none" in bodies:
        return None
    if "plain" in bodies:
        return [f"plain {body}" for body in bodies]
    if "number" in bodies:
        return 5
    responses = [
        context.Response(body=json.dumps([event.body.decode(), len(events), os.getpid()]), event_id=event.id)
        for event in events
        if event.body != b"forgotten"
    ]
    return responses[::-1]


async def async_handler(context, events):
    return handler(context, events)
