"""Values that must never be shown."""

from pydantic import SecretStr


class Secret(SecretStr):
    """A text that prints as `[redacted]`; `get_secret_value` is the only way to the text itself."""

    def _display(self) -> str:
        return "[redacted]"
