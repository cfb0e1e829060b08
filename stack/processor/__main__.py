"""The command `processor`: runs a function as processor.yaml says."""

import gc
import sys
from collections.abc import Sequence

from stack.processor.lazy import postpone


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the function, or its health check; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--health"]:
        # The rest of the command takes longer to import than this check takes.
        from stack.processor.probe import HEALTH_PORT, probe

        return probe(HEALTH_PORT)
    if arguments[:1] == ["--states"]:
        from stack.processor.probe import tell_states

        return tell_states(arguments[1:])
    # Nearly all that imports make stays, and to look for garbage among it takes a tenth of a start.
    gc.disable()
    # Nuclio's SDK imports it for call_function, and it takes another tenth.
    postpone("http.client")
    from stack.processor.command import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
