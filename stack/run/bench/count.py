"""Events per second, counted from outside: the contestants count in shared memory, and this looks."""

import mmap
from pathlib import Path
from time import monotonic, sleep

from stack.errors import StackError
from stack.run.bench.program import Program

# One for each worker.
_SLOTS = 16
_SLOT_BYTES = 8
# Seconds between two looks: a hundredth of the shortest measurement, and too rare to be felt.
_LOOK = 0.002
# Seconds without an event after which something is wrong.
_PATIENCE = 20.0


class Count:
    """The counts of one contestant; the file's path is for its environment."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SLOTS * _SLOT_BYTES))
        self.environment = {"BENCH_COUNTER": str(path)}
        with path.open("r+b") as file:
            self._slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

    def measure_rate(self, total: int, program: Program) -> float:
        """Return the events per second from the first to the last.

        Raises:
            StackError: they do not come.
        """
        self._wait_for(1, program)
        start, first = monotonic(), sum(self._slots)
        self._wait_for(total, program)
        return (total - first) / (monotonic() - start)

    def _wait_for(self, count: int, program: Program) -> None:
        seen, deadline = 0, monotonic() + _PATIENCE
        while (found := sum(self._slots)) < count:
            if found > seen:
                seen, deadline = found, monotonic() + _PATIENCE
            if monotonic() > deadline:
                raise StackError(
                    f"only {found} of {count} events were handled. {program.name} printed:\n{program.tell()}"
                )
            sleep(_LOOK)
