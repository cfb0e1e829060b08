"""The command `processor`: runs a function as processor.yaml says."""

import gc
import sys
from collections.abc import Sequence

from stack.processor.lazy import postpone

# What libraries import and few functions need, as Nuclio's SDK does http.client for call_function; to load it takes an
# eighth of a start.
_POSTPONED = ("http.client", "ipaddress", "locale")


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
    for name in _POSTPONED:
        postpone(name)
    from stack.processor.command import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
