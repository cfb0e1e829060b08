"""Rules of alerts, and what tells people of them, checked by their own programs, each in a container that then goes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from python_on_whales.exceptions import DockerException

from stack.docker.client import docker_api, pack, unpack
from stack.docker.driver import docker_cli, explained
from stack.docker.volume import HELPER_LABEL

_FOLDER = "/tmp"
_SECONDS = 60


def run_tool(project: str, image: str, *, command: Sequence[str], files: Mapping[str, bytes]) -> tuple[int, str]:
    """Run a program of an image, in a folder with files; return its exit status and what it printed.

    Raises:
        EngineError: Docker refused.
    """
    with explained():
        container = docker_cli.container.create(
            image,
            list(command[1:]),
            entrypoint=command[0],
            labels={HELPER_LABEL: project},
            networks=["none"],
            workdir=_FOLDER,
        )
    try:
        unpack(container.id, _FOLDER, iter((pack(files),)))
        with explained():
            docker_api().start(container.id)
            status = docker_api().wait(container.id, timeout=_SECONDS)["StatusCode"]
            return int(status), docker_api().logs(container.id).decode(errors="replace").strip()
    finally:
        with suppress(DockerException):
            docker_cli.container.remove(container.id, force=True)
