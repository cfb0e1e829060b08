"""Records: small YAML files that Tidegate writes and people read, and may edit."""

from pathlib import Path
from typing import Any

import yaml

from stack.config.reading import parse_mapping
from stack.errors import HostError
from stack.run.workspace import advise, write_file

SUFFIX = ".yaml"


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record, in the place of what is there.

    Raises:
        ConfigError: it could not be read again, since it is too large or too deep.
        HostError: it cannot be written.
    """
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    parse_mapping(text, path.name)
    write_file(path, text.encode())


def remove_record(path: Path) -> None:
    """Remove a record, and its folder if nothing else is in it.

    Raises:
        HostError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}. {advise(error, path)}") from error
