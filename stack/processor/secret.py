"""Secrets: files NAME.KEY of one folder, and the environment that is made of them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack.processor.attributes import Attributes, ConfigurationError


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
