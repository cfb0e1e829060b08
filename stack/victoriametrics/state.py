"""How the store of readings is: how much it has, and how much room there is."""

from prometheus_client.parser import text_string_to_metric_families

from stack.docker.stack import Stack
from stack.errors import DataError
from stack.plan.trouble import StoreState
from stack.victoriametrics.client import find_store

_ROWS, _SIZE = "vm_rows", "vm_data_size_bytes"
_FREE, _LEAST, _FULL = "vm_free_disk_space_bytes", "vm_free_disk_space_limit_bytes", "vm_storage_is_read_only"
# Of what it counts, its index has a part too.
_POINTS = "storage/"


def fetch_state(stack: Stack) -> StoreState | None:
    """Ask the stack's store how it is; None where there is none, or it does not answer."""
    if not stack.settings.has_store:
        return None
    try:
        return read_state(find_store(stack).fetch_metrics())
    except DataError:
        return None


def read_state(text: str) -> StoreState:
    """Read what the store's page of metrics says.

    Raises:
        DataError: it says nothing of it.
    """
    # The page has a thousand lines, and to read one takes a while.
    wanted = "\n".join(line for line in text.splitlines() if line.startswith((_ROWS, _SIZE, _FREE, _LEAST, _FULL)))
    samples = [one for family in text_string_to_metric_families(f"{wanted}\n") for one in family.samples]

    def add(name: str, kinds: str = "") -> int:
        own = (one for one in samples if one.name == name and one.labels.get("type", "").startswith(kinds))
        return int(sum(one.value for one in own))

    if not add(_FREE):
        raise DataError("The store of readings does not say how much room there is.")
    return StoreState(add(_ROWS, _POINTS), add(_SIZE), add(_FREE), add(_LEAST), bool(add(_FULL)))
