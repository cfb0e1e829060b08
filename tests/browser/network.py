"""A network of the browser's own, which no other test disturbs."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# TCP from its loopback to this machine's, for each port that something listens at, and no other way in.
_FORWARD = ("--tcp-ns", "auto", "--udp-ns", "none", "--tcp-ports", "none", "--udp-ports", "none")


@contextmanager
def isolate(program: str, folder: Path) -> Iterator[str]:
    """Yield a program in the folder that starts the given one where it sees the ports of this machine's loopback alone.

    Chromium breaks off each request that is under way when an interface of its machine gets an address or loses one
    (ERR_NETWORK_CHANGED), as Docker's do whenever a container starts or stops. Where there is no pasta, or it may not
    or cannot do that, the program itself is yielded.
    """
    if os.geteuid() != 0 or not shutil.which("pasta"):
        yield program
        return
    name = f"tidegate-test-{secrets.token_hex(4)}"
    namespace = f"/run/netns/{name}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        # It ends with the namespace.
        options = ("--quiet", "--config-net", "--runas", "0", "--netns-only", "--netns", namespace)
        fails = subprocess.run(["pasta", *options, *_FORWARD], check=False).returncode
        yield program if fails else _write_starter(folder / "chromium", f"nsenter --net={namespace} {program}")
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _write_starter(path: Path, command: str) -> str:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    return str(path)
