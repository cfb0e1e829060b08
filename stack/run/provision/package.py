"""A single package of this distribution, installed where something asks for it."""

import os
import subprocess

from stack import console
from stack.errors import HostError


def install_package(name: str, purpose: str) -> None:
    """Install a package; `purpose` is what it does, such as "makes the load".

    Raises:
        HostError: it cannot be installed; the message says what to type.
    """
    console.say(f"Installing {name}, which {purpose}.")
    root = () if os.geteuid() == 0 else ("sudo",)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("install", "--quiet=2", "--yes", "--no-install-recommends", name)
    for arguments in (("update", "--quiet=2"), install):
        command = (*root, "apt-get", *arguments)
        try:
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            problem = f"{name}, which {purpose}, could not be installed. To see why, type: {' '.join(command)}"
            raise HostError(problem) from error
