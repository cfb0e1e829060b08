"""The command `processor`: runs a function as processor.yaml says."""

import sys
from importlib import import_module

# A health check is made again and again in each container, and imports only what it needs.
_OTHERS = {"--health": "stack.processor.probe", "--states": "stack.processor.probe"}


def main() -> int:
    """Run the function, or its health check; return the exit status."""
    arguments = sys.argv[1:]
    module = import_module(_OTHERS.get(arguments[0] if arguments else "", "stack.processor.command"))
    return int(module.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
