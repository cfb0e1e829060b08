"""The topic `demo`: the scene of the demo."""

import asyncio
from typing import Any

from stack.run.demo.stage import Stage

# Seconds between two looks, while a demo is on and while none is.
_PLAYING, _IDLE = 1.0, 30.0


class DemoSource:
    """What there is to see of the demo."""

    def __init__(self, stage: Stage) -> None:
        self.pause = _IDLE
        self._stage = stage

    async def look(self) -> dict[str, Any]:
        """Return the scene."""
        # Asked before, so that the end of the demo is seen too.
        self.pause = _PLAYING if self._stage.is_running else _IDLE
        return await asyncio.to_thread(self._stage.describe)

    async def rest(self) -> None:
        """Do nothing: nothing is open."""
