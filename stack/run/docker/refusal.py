"""What Docker says when it refuses, turned into what to do."""

import re

PROVISION = "Type `./bootstrap provision`, which installs what is missing and starts the engine."

_ADVICE = (
    (
        re.compile(r"permission denied.*sock", re.IGNORECASE | re.DOTALL),
        "You may not use Docker's socket. Add yourself to its group with `sudo usermod -aG docker $USER`, "
        "log in again, and type this once more.",
    ),
    (
        re.compile(r"Cannot connect to the Docker daemon|Is the docker daemon running"),
        f"Docker is installed and its engine does not run. {PROVISION}",
    ),
    (
        re.compile(r"no space left on device"),
        "There is no space left on Docker's disk. `docker system prune` frees what Docker no longer uses.",
    ),
)
# What Compose tells besides: warnings, and how far each container got.
_CHATTER = re.compile(r'^(?:time="[^"]*" level=warning | (?:Container|Image|Network|Volume) ).*\n?', re.MULTILINE)
_PLACE = re.compile(r"Cannot connect to the Docker daemon at (\S+?)\. Is the docker daemon running")
_OWN_PLACE = "unix:///var/run/docker.sock"
_PORT = re.compile(r"(?:Bind for|listen tcp4?) (\S+?:\d+)")


def explain(text: str) -> str:
    """Turn what Docker printed into a message that says what to do next."""
    message = _CHATTER.sub("", text).strip() or text.strip() or "it said nothing."
    for pattern, advice in _ADVICE:
        if pattern.search(message):
            return advice + _tell_place(message)
    if match := _PORT.search(message):
        address = match[1].rstrip(":")
        return f"Docker cannot publish {address}: another program uses it. Choose another port, or stop that program."
    return f"Docker refused: {message}"


def _tell_place(message: str) -> str:
    """Say where the engine was looked for, if that is not where it is on most machines."""
    place = _PLACE.search(message)
    if place is None or place[1] == _OWN_PLACE:
        return ""
    return (
        f" It was looked for at {place[1]}, where DOCKER_HOST or Docker's context leads: "
        "`unset DOCKER_HOST` and `docker context use default` lead to this machine's."
    )
