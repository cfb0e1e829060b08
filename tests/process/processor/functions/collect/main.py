"""Writes one line of JSON for each event to the file that OUTPUT names; the body says what else to do."""

import ctypes
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
    word, _, argument = str(body).partition(" ")
    return act(word, argument, event)


def act(word, argument, event):
    if word == "sleep":
        time.sleep(float(argument))
    elif word == "hold-lock":
        # No other thread of Python runs meanwhile.
        ctypes.PyDLL(None).sleep(int(argument))
    elif word == "wait-for":
        wait_for(Path(argument))
    elif word == "answer":
        return (int(argument), "")
    elif word.startswith("fail"):
        fail(word, argument, event)
    elif word in ("exit", "exit-once", "crash"):
        die(word, argument)
    return None


def wait_for(file):
    while not file.exists():
        time.sleep(0.05)


def fail(word, argument, event):
    if word == "fail":
        raise ValueError(f"cannot do {argument}")
    if word == "fail-twice" and event.headers.get("x-nuclio-attempts", 0) < 2:
        raise ValueError("not yet")
    if word == "fail-until" and not Path(argument).exists():
        raise ValueError("not before that file is there")


def die(word, argument):
    if word == "exit":
        os._exit(4)
    if word == "crash":
        ctypes.string_at(0)
    if not Path(argument).exists():
        Path(argument).touch()
        os._exit(3)
