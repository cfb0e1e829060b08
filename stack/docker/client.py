"""What reads Docker: docker-py, which asks the engine for lists, logs and streams of bytes; driver.py changes things.

Both go where the command docker goes: to DOCKER_HOST, or to Docker's context.
"""

import io
import os
import re
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus

import docker
from docker.errors import APIError
from docker.errors import DockerException as ReadingError
from requests import RequestException, Response

from stack.errors import EngineError

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
        re.compile(r"This node is not (?:a swarm manager|part of a swarm)"),
        "This machine is in no Swarm, or is no manager of it; `invoke nodes` says what to type, and where.",
    ),
    (
        re.compile(r"no space left on device"),
        "There is no space left on Docker's disk. `docker system prune` frees what Docker no longer uses.",
    ),
)
# What else Compose tells: warnings, and how far each container got.
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


# A busy engine is waited for.
_TIMEOUT_SECONDS = 300
# What another engine, or none, may be found by.
_WHERE = ("PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")


def docker_api() -> docker.APIClient:
    """Return docker-py's client of the engine that the command docker would ask, one for all threads.

    Raises:
        docker.errors.DockerException: the engine does not answer.
        EngineError: there is no command docker, without which nothing else works.
    """
    return _connect(tuple(os.environ.get(name, "") for name in _WHERE))


@cache
def _connect(_: tuple[str, ...]) -> docker.APIClient:
    if shutil.which("docker") is None:
        raise EngineError(f"Docker is not installed. {PROVISION}")
    return docker.from_env(timeout=_TIMEOUT_SECONDS, use_ssh_client=True).api


@contextmanager
def explained() -> Iterator[None]:
    """Turn what docker-py raises into a message that says what to do next.

    Raises:
        EngineError: Docker refused, or does not answer.
    """
    try:
        yield
    except APIError as error:
        raise EngineError(explain(error.explanation or str(error))) from error
    except (ReadingError, RequestException) as error:
        # The command says better than a connection why there is no answer.
        asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
        raise EngineError(explain(asked.stderr if asked.returncode else str(error))) from error


def execute(container: str, *command: str) -> str:
    """Run a command in a container and return what it printed.

    Raises:
        EngineError: it failed.
    """
    return b"".join(stream_output(container, *command)).decode(errors="replace")


MINIMUM_ENGINE = (25, 0)


def require_version(name: str, version: str, *, minimum: tuple[int, int]) -> None:
    """Make sure that a program of Docker's is there, and new enough.

    Raises:
        EngineError: it is not.
    """
    wanted = ".".join(map(str, minimum))
    if not version:
        raise EngineError(f"{name} is not installed; {wanted} or newer is needed. {PROVISION}")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < minimum:
        raise EngineError(f"{name} {version} is too old; {wanted} or newer is needed. {PROVISION}")


# Large enough to be few, small enough to have several in memory.
CHUNK_BYTES = 16 * 2**20
# Before each piece of a command's output: of which stream it is, and how long.
_FRAME, _ERRORS = struct.Struct(">BxxxL"), 2


def stream_output(container: str, *command: str) -> Iterator[bytes]:
    """Run a command in a container and yield what it writes, in pieces of CHUNK_BYTES.

    Raises:
        EngineError: it failed.
    """
    with explained():
        run = docker_api().exec_create(container, list(command))["Id"]
        errors = bytearray()
        # docker-py's own call leaves its response to be closed by chance.
        with docker_api().post(_find_url(f"exec/{run}/start"), json={"Detach": False}, stream=True) as answer:
            _check(answer)
            yield from _regroup(_read_frames(answer, errors))
        if docker_api().exec_inspect(run)["ExitCode"]:
            raise EngineError(explain(errors.decode(errors="replace")))


def _find_url(path: str) -> str:
    """Return the address of a request that docker-py has no call for."""
    return f"{docker_api().base_url}/v{docker_api().api_version}/{path}"


def _check(answer: Response) -> None:
    if not answer.ok:
        raise EngineError(explain(answer.json()["message"]))


def _read_frames(answer: Response, errors: bytearray | None = None) -> Iterator[bytes]:
    """Yield what a command writes; what it says of errors goes elsewhere, if there is where."""
    while header := answer.raw.read(_FRAME.size):
        stream, length = _FRAME.unpack(header)
        content = answer.raw.read(length)
        if stream == _ERRORS and errors is not None:
            errors += content
        else:
            yield content


def fetch_task_log(task: str, *, tail: int, timestamps: bool) -> bytes:
    """Return the last lines of a task of Swarm, on whatever machine; nothing if it is gone.

    Raises:
        EngineError: Docker does not answer.
    """
    options = {"stdout": True, "stderr": True, "tail": tail, "timestamps": timestamps}
    # docker-py knows the logs of a whole service only.
    with explained(), docker_api().get(_find_url(f"tasks/{task}/logs"), params=options, stream=True) as answer:
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return b""
        _check(answer)
        return b"".join(_read_frames(answer))


def _regroup(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


def unpack(container: str, folder: str, tar: Iterable[bytes]) -> None:
    """Unpack a tar, which may be compressed, into a folder of a container.

    Raises:
        EngineError: it is none, or there is no room for it.
    """
    with explained():
        docker_api().put_archive(container, folder, tar)


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of files that all may read."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o444
            archive.addfile(info, io.BytesIO(content))
    return tar.getvalue()


def save_images(images: Sequence[str]) -> Iterator[bytes]:
    """Yield a tar of images, which share their layers, in pieces of CHUNK_BYTES.

    Raises:
        EngineError: one is not here.
    """
    names = {"names": list(images)}
    # docker-py's own call knows one image only.
    with explained(), docker_api().get(_find_url("images/get"), params=names, stream=True) as answer:
        _check(answer)
        yield from answer.iter_content(CHUNK_BYTES)


def load_images(tar: Iterable[bytes]) -> None:
    """Read the images of a tar.

    Raises:
        EngineError: it holds none, or there is no room for them.
    """
    with explained():
        for step in docker_api().load_image(tar, quiet=True):
            if "error" in step:
                raise EngineError(explain(step["error"]))
