"""The base image of Debian packages: mmdebstrap makes a root filesystem, Docker imports it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from stack.errors import BuildError, HostError
from stack.plan.image import Archive

# What nobody reads in a container.
_UNREAD = "usr/share/doc usr/share/man usr/share/locale usr/share/info var/log/* var/cache/debconf/*-old"
_LOG_BYTES = 4000


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
        maker = subprocess.Popen(_command(archive), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        yield f"mmdebstrap {archive.codename}"
        taker = subprocess.Popen(
            ["docker", "import", "--change", 'CMD ["bash"]', "-", name],
            stdin=maker.stdout, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
        if maker.stdout:
            maker.stdout.close()
        statuses = (maker.wait(), taker.wait())
        if any(statuses):
            _forget(name)
            log.seek(0)
            raise BuildError(f"The base image could not be made. The log ends with:\n{log.read()[-_LOG_BYTES:]}")


def _command(archive: Archive) -> Sequence[str]:
    packages = ["--include=ca-certificates"] if any("https:" in line for line in archive.sources) else []
    return [
        *_prefix(),
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


def _forget(name: str) -> None:
    """Remove what was imported of a root filesystem that was cut short."""
    subprocess.run(["docker", "image", "rm", name], capture_output=True, check=False)
