"""Writes one line of JSON for each event to the file that OUTPUT names; the body says what else to do."""

import json
import os
import time
from pathlib import Path

OUTPUT = Path(os.environ["OUTPUT"])


def handler(context, event):
    body = event.body.decode() if isinstance(event.body, bytes) else event.body
    seen = {name: value for name, value in vars(event).items() if name not in ("trigger", "body")}
    seen |= {"body": body, "trigger": [event.trigger.kind, event.trigger.name], "worker": context.worker_id}
    seen["began"] = time.time()
    with OUTPUT.open("a") as file:
        file.write(json.dumps(seen, default=str) + "\n")
    return act(body, event)


def act(body, event):
    word, _, argument = str(body).partition(" ")
    if word == "sleep":
        time.sleep(float(argument))
    if word == "fail":
        raise ValueError(f"cannot do {argument}")
    if word == "fail-twice" and event.headers.get("x-nuclio-attempts", 0) < 2:
        raise ValueError("not yet")
    if word == "answer":
        return (int(argument), "")
    if word == "exit-once" and not Path(argument).exists():
        Path(argument).touch()
        os._exit(3)
    return None
