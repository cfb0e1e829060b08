"""The scaler's container: `python -m stack.scaler`, a face over stack/run as tasks.py is."""

from stack.run.place import become_owner
from stack.run.scale.scaler import Scaler
from stack.run.stack import open_stack


def main() -> None:
    """Scale functions for ever, as the user whose workspace it is, who may use Docker's socket besides."""
    stack = open_stack(is_lenient=True)
    become_owner(stack.workspace)
    Scaler(stack).run()


if __name__ == "__main__":
    main()
