"""The dashboard's program: `python -m stack.dashboard`."""

import argparse
import sys

import uvicorn

from stack.dashboard.app import make_app
from stack.dashboard.security.head_deadline import HeadDeadline
from stack.dashboard.services import open_services
from stack.errors import StackError
from stack.state.workspace import become_owner, is_inside

_PORT = 8070
# How long open pages may take to end when the dashboard does.
_GRACE_SECONDS = 3


def main() -> int:
    """Serve the dashboard until a signal ends it; return the exit status."""
    parser = argparse.ArgumentParser(prog="stack.dashboard")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=_PORT)
    options = parser.parse_args()
    try:
        serve(options.host, options.port)
    except StackError as error:
        print(error, file=sys.stderr)
        return error.status
    return 0


def serve(host: str, port: int) -> None:
    """Serve the dashboard at an address.

    Raises:
        StackError: the workspace's settings do not allow it.
    """
    services = open_services()
    if is_inside():
        become_owner(services.workspace.rendered)
    app = HeadDeadline(make_app(services))
    uvicorn.run(
        app, host=host, port=port, http=app.protocol, log_level="warning", server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS, proxy_headers=False,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
