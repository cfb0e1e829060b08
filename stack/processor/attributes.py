"""The settings of one part of processor.yaml, read by name and type, and the secrets that they name.

Names match in any case. Secrets are files NAME.KEY of one folder.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
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


def read_text(secrets: Path, name: str, settings: Attributes) -> str:
    """Read a secret that is one line of text.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return (secrets / name).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(settings, secrets / name, error) from None


def read_environment(spec: Attributes, secrets: Path) -> Mapping[str, str]:
    """Return the variables of a function; those of `env` win over those of `envFrom`, as in Kubernetes.

    Raises:
        ConfigurationError: a secret that is not optional is missing, or can be no variable.
    """
    environment: dict[str, str] = {}
    for source in _items(spec, "envFrom"):
        environment.update(_read_source(source, secrets))
    for variable in _items(spec, "env"):
        environment.update(_read_variable(variable, secrets))
    return environment


def _items(spec: Attributes, name: str) -> Iterator[Attributes]:
    entries = spec.raw(name)
    for index in range(len(entries) if isinstance(entries, list) else 0):
        yield spec.item(name, index)


def _read_source(source: Attributes, secrets: Path) -> Iterator[tuple[str, str]]:
    reference = source.section("secretRef")
    name = reference.text("name")
    found = secrets.iterdir() if name and secrets.is_dir() else ()
    paths = sorted(path for path in found if path.name.startswith(f"{name}."))
    if name and not paths and not reference.flag("optional", False):
        raise ConfigurationError(f"{reference.path}: there is no secret {secrets}/{name}.*")
    for path in paths:
        yield source.text("prefix") + path.name.removeprefix(f"{name}."), _read_value(path, reference)


def _read_variable(variable: Attributes, secrets: Path) -> Iterator[tuple[str, str]]:
    reference = variable.section("valueFrom").section("secretKeyRef")
    if reference.text("name"):
        path = secrets / f"{reference.text('name')}.{reference.text('key')}"
        if path.exists() or not reference.flag("optional", False):
            yield variable.text("name"), _read_value(path, reference)
    elif variable.raw("valueFrom") is None:
        yield variable.text("name"), variable.text("value")


def _read_value(path: Path, settings: Attributes) -> str:
    """Return a secret as `os.environ` takes it, whatever its bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _wrong(settings, path, error) from None
    if b"\0" in content:
        raise ConfigurationError(f"{settings.path}: the secret {path} holds a zero byte, which no variable can")
    return os.fsdecode(content)


def _wrong(settings: Attributes, path: Path, error: Exception) -> ConfigurationError:
    reason = error.strerror if isinstance(error, OSError) else "it is no text"
    return ConfigurationError(f"{settings.path}: the secret {path} cannot be read: {reason}")
