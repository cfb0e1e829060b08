"""Writes each batch as a line of JSON to the file that OUTPUT names."""

import json
import os
from pathlib import Path


def handler(context, events):
    bodies = [event.body.decode() for event in events]
    with Path(os.environ["OUTPUT"]).open("a") as file:
        file.write(json.dumps({"body": " ".join(bodies), "size": len(events)}) + "\n")
    if "fail" in bodies:
        raise ValueError("the batch failed")
    return [context.Response(status_code=500, event_id=event.id) for event in events if event.body == b"refuse"]
