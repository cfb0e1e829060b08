"""The container of `devices`: `python -m stack.devices`."""

import uvicorn

from stack.devices.login import build_app
from stack.plan.device_account import LOGIN_PORT
from stack.state.devices import logins_folder
from stack.state.workspace import become_owner, open_workspace


def main() -> None:
    """Answer the broker until the container is stopped."""
    workspace = open_workspace()
    become_owner(logins_folder(workspace))
    uvicorn.run(build_app(workspace), host="0.0.0.0", port=LOGIN_PORT, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
