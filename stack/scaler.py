"""The scaler's container: `python -m stack.scaler`, a face over stack/run as tasks.py is."""

from stack.docker.stack import open_stack
from stack.run.scale import Scaler
from stack.state.workspace import become_owner


def main() -> None:
    """Scale functions for ever, as the user whose workspace it is, who may use Docker's socket too."""
    stack = open_stack(is_lenient=True)
    become_owner(stack.workspace.rendered)
    Scaler(stack).run()


if __name__ == "__main__":
    main()
