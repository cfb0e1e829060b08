"""What every kind of output has."""

from typing import ClassVar

from stack.config.document import NuclioDocument
from stack.contract import list_placeholders


def check_placeholders(text: str) -> str:
    """Return a topic or routing key whose placeholders are names.

    Raises:
        ValueError: they are not.
    """
    list_placeholders(text)
    return text


class BaseOutput(NuclioDocument):
    """What every kind has."""

    own_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that code which is fetched may not set: only the function's own function.yaml."""

    kind: str

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the names for which `send` must be given values."""
        return ()
