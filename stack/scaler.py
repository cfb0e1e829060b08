"""The scaler's container: `python -m stack.scaler`, a face over stack/run as tasks.py is."""

import os
from pathlib import Path

_SOCKET = Path("/var/run/docker.sock")


def main() -> None:
    """Scale functions for ever, as the user whose workspace it is, who may use Docker's socket besides."""
    from stack.run.scaler import Scaler
    from stack.run.stack import open_stack

    stack = open_stack(is_lenient=True)
    owner = stack.workspace.rendered.stat()
    os.setgroups([_SOCKET.stat().st_gid])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    Scaler(stack).run()


if __name__ == "__main__":
    main()
