"""What is wrong with a function's handlers by now, where a page or an answer of the API tells of the function."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from stack.dashboard.desk import Desk
from stack.errors import StackError
from stack.plan.function_health import find_handling_troubles, read_handling
from stack.plan.trouble import Trouble
from stack.run.catalogue.catalogue import FunctionRecord

# Seconds that an answer waits for figures that are not known yet.
_PATIENCE = 0.12


async def find_troubles(desk: Desk, record: FunctionRecord) -> Sequence[Trouble]:
    """Return what is wrong with the handlers of a function; nothing where that is not known in time."""
    if not record.is_deployed:
        return ()
    try:
        async with asyncio.timeout(_PATIENCE):
            figures = await desk.hub.latest("functions") or {}
    except (TimeoutError, StackError):
        return ()
    return tuple(find_handling_troubles(record.name, read_handling(figures.get(record.name, {}))))


async def add_troubles(desk: Desk, record: FunctionRecord) -> FunctionRecord:
    """Return what is known of a function, with what is wrong with its handlers where nothing else is said of it."""
    if record.message:
        return record
    return replace(record, message=" ".join(one.what for one in await find_troubles(desk, record)))
