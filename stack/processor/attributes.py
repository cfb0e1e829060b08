"""The settings of one part of processor.yaml, read by name and type, whatever the case of their names."""

from collections.abc import Mapping
from typing import Any

from stack.contract import parse_duration


class ConfigurationError(Exception):
    """Something in processor.yaml or in its secrets is wrong; the message says where."""


class Attributes:
    """Settings by name; names match whatever their case, as Nuclio's do.

    Each reader takes the value that holds where the setting is absent, and raises ConfigurationError, naming the
    setting's path, where it is of another type.
    """

    def __init__(self, path: str, values: object) -> None:
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"{path}: should be a mapping")
        self.path = path
        self._values: dict[str, Any] = {str(name).lower(): value for name, value in values.items()}

    def raw(self, name: str) -> Any:
        """Return a setting as it was read; None where it is absent."""
        return self._values.get(name.lower())

    def section(self, name: str) -> "Attributes":
        """Return the settings below a name."""
        return Attributes(f"{self.path}.{name}", self.raw(name))

    def item(self, name: str, index: int) -> "Attributes":
        """Return the settings in one element of a list."""
        return Attributes(f"{self.path}.{name}[{index}]", self.raw(name)[index])

    def text(self, name: str, default: str = "") -> str:
        """Return a text; a number or a flag counts as its text."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, Mapping | list):
            raise self._wrong(name, "a text")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def integer(self, name: str, default: int) -> int:
        """Return a whole number that is not negative."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, "a whole number, 0 or more")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def seconds(self, name: str, default: float) -> float:
        """Return a duration in seconds."""
        value = self.raw(name)
        if value is None or value == "":
            return default
        try:
            return parse_duration(str(value).strip())
        except ValueError as error:
            raise ConfigurationError(f"{self.path}.{name}: {error}") from None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; one text counts as a list of itself."""
        value = self.raw(name)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list | None) or any(isinstance(item, Mapping | list) for item in value or ()):
            raise self._wrong(name, "a list of texts")
        return tuple(str(item) for item in value or ())

    def _wrong(self, name: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}.{name}: should be {expected}, not {self.raw(name)!r}")
