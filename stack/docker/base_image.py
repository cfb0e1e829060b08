"""What images stand on: a registry's bases, or this system's packages."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

from stack import console
from stack.config.settings import ImageSource, Settings
from stack.docker.client import docker_api, explained
from stack.docker.engine import Engine
from stack.errors import BuildError, EngineError, HostError
from stack.plan.image import Archive, BaseImages
from stack.state.host import find_ca, processor_digest, read_archive
from stack.state.workspace import Workspace, is_inside, parse_json, remove_file, try_read_word, write_file

# How long the registry may take to say that it has an image, before packages are used instead.
_PATIENCE_SECONDS = 8.0
_NO_ARCHIVE = Archive("", ())
# Below the folder of what is remembered.
_RENEWED = "bases-renewed"


def choose_base_images(workspace: Workspace, settings: Settings, *, engine: Engine) -> BaseImages:
    """Decide what images stand on; with `auto` the registry is asked once, and the answer is remembered."""
    wanted = settings.images.source
    source = _resolve(workspace, settings, engine=engine) if wanted is ImageSource.AUTO else wanted
    archive = _NO_ARCHIVE if source is ImageSource.REGISTRY else _find_archive(workspace)
    return BaseImages(
        source,
        archive,
        has_ca=find_ca(settings) is not None,
        processor_digest=processor_digest(),
        renewed=load_renewal(workspace),
    )


def load_renewal(workspace: Workspace) -> str:
    """Return when bases were last made or pulled again; nothing if that was never asked for."""
    return try_read_word(workspace.state / _RENEWED)


@contextmanager
def renewing(workspace: Workspace) -> Iterator[None]:
    """Have bases made or pulled again from now on, unless the block fails, in which they are.

    Without a network, all that stands on them could be made no more.
    """
    path, before = workspace.state / _RENEWED, load_renewal(workspace)
    write_file(path, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}\n".encode())
    try:
        yield
    except BaseException:
        if before:
            write_file(path, f"{before}\n".encode())
        else:
            remove_file(path)
        raise


def _find_archive(workspace: Workspace) -> Archive:
    """Return this machine's archive; a container has one of its own, and goes by what is remembered."""
    memory = workspace.state / "archive.json"
    if is_inside():
        with suppress(OSError, ValueError):
            return parse_json(Archive, memory.read_bytes())
    archive = read_archive()
    write_file(memory, json.dumps(asdict(archive)).encode(), is_durable=False)
    return archive


def _resolve(workspace: Workspace, settings: Settings, *, engine: Engine) -> ImageSource:
    memory = workspace.state / "image-source"
    name = f"{settings.images.mirror}{settings.images.rabbitmq}"
    known, _, of_name = try_read_word(memory).partition(" ")
    if of_name == name and known in (ImageSource.REGISTRY, ImageSource.DEBIAN):
        return ImageSource(known)
    engine.check_engine()
    answers = engine.has_image(name) or _answers(name)
    source = ImageSource.REGISTRY if answers else ImageSource.DEBIAN
    if not answers:
        console.say(
            f"No registry offers {name} here, so images are built from this system's packages "
            "(`images.source: registry` in stack.yaml has them pulled all the same)."
        )
    write_file(memory, f"{source} {name}\n".encode())
    return source


def _answers(name: str) -> bool:
    """Ask the engine to pull an image; the first line of its answer tells that the registry has it."""
    answers = SimpleQueue[bool]()

    def pull() -> None:
        with suppress(EngineError), explained():
            for step in docker_api().pull(name, stream=True, decode=True):
                if "Pulling from" in step.get("status", ""):
                    answers.put(True)
        answers.put(False)

    with console.working("Asking the image registry"), suppress(Empty):
        Thread(target=pull, daemon=True).start()
        return answers.get(timeout=_PATIENCE_SECONDS)
    return False


# What no one reads in a container.
_UNREAD = "usr/share/doc usr/share/man usr/share/locale usr/share/info var/log/* var/cache/debconf/*-old"
_LOG_BYTES = 4000
# The instruction with which a root filesystem becomes an image.
COMMAND = 'CMD ["bash"]'


def make_base(archive: Archive, name: str) -> Iterator[str]:
    """Make the base image of an archive's packages and yield the lines of the log.

    Raises:
        HostError: mmdebstrap is not here, or sudo, without which only root runs it.
        BuildError: it failed; the message ends with the log.
    """
    if shutil.which("mmdebstrap") is None:
        raise HostError("mmdebstrap, which makes base images from packages, is missing. Type `./bootstrap provision`.")
    if _prefix() and shutil.which("sudo") is None:
        raise HostError("sudo is missing, and mmdebstrap makes base images as root. Install sudo, or do this as root.")
    with tempfile.TemporaryFile("w+") as log:
        command = [*_prefix(), *build_command(archive)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as maker:
            yield f"mmdebstrap {archive.codename}"
            refusal = _import(maker.stdout, name)
        if maker.returncode or refusal:
            # What was imported is of a root filesystem that was cut short.
            with suppress(EngineError), explained():
                docker_api().remove_image(name)
            log.seek(0)
            raise BuildError(
                f"The base image could not be made. The log ends with:\n{log.read()[-_LOG_BYTES:]}{refusal}"
            )


def _import(tar: IO[bytes] | None, name: str) -> str:
    """Make an image of a root filesystem; return why that failed, or nothing."""
    repository, _, tag = name.rpartition(":")
    try:
        with explained():
            docker_api().import_image_from_data(tar, repository, tag, changes=[COMMAND])
    except EngineError as error:
        return str(error)
    return ""


def build_command(archive: Archive) -> Sequence[str]:
    """Return the command that writes a root filesystem of an archive's packages, as root, to standard output."""
    packages = ["--include=ca-certificates"] if any("https:" in line for line in archive.sources) else []
    return [
        "mmdebstrap",
        "--variant=minbase",
        *packages,
        "--dpkgopt=force-unsafe-io",
        '--aptopt=Acquire::Languages "none"',
        f'--customize-hook=cd "$1" && rm -rf {_UNREAD}',
        "--skip=cleanup/reproducible",
        archive.codename,
        "-",
        *archive.sources,
    ]


def _prefix() -> Sequence[str]:
    return () if os.geteuid() == 0 else ("sudo",)
