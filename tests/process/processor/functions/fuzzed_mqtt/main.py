"""Notes the number and the digest of each event's body in the file that OUTPUT names; raises where the body says so."""

import hashlib
import os
from pathlib import Path

OUTPUT = Path(os.environ["OUTPUT"])


def handler(context, event):
    number, _, rest = event.body.partition(b" ")
    if rest.startswith(b"raise"):
        raise ValueError(repr((event.topic, event.headers, event.content_type)))
    with OUTPUT.open("a") as file:
        file.write(f"{number.decode()} {hashlib.sha256(event.body).hexdigest()[:16]}\n")
