"""The topic `simulator`: how the simulator is."""

from typing import Any

from stack.run.device.simulator import Simulator

_PAUSE = 1.0


class SimulatorSource:
    """What the simulator says of itself."""

    pause = _PAUSE

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def look(self) -> dict[str, Any]:
        """Return whether it runs, since when, and how many readings it has sent."""
        return self._simulator.describe()

    async def rest(self) -> None:
        """Do nothing: nothing is open."""
