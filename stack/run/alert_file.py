"""The files of alerts/, for anyone who looks at them or edits them elsewhere than on the disk."""

from dataclasses import dataclass
from pathlib import Path

from stack.config.alert import FOLDER, SUFFIX, Alert, load_alert
from stack.errors import ConfigError


@dataclass(frozen=True)
class AlertFile:
    """A file of alerts/; one that is wrong holds no alert, but problems."""

    name: str
    alert: Alert | None = None
    problems: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Return what it watches, in a line."""
        if not self.alert:
            return ""
        config = self.alert.config
        if config.silent:
            return f"nothing of {config.silent} for {config.after}"
        lasting = f" for {config.for_}" if config.for_seconds else ""
        return f"{config.when or ' '.join(config.expr.split())}{lasting}"


def list_alert_files(root: Path) -> list[AlertFile]:
    """Return every file of alerts/, those too that are wrong."""
    return [_read(path) for path in sorted((root / FOLDER).glob(f"*{SUFFIX}"))]


def _read(path: Path) -> AlertFile:
    try:
        return AlertFile(path.stem, load_alert(path))
    except ConfigError as error:
        return AlertFile(path.stem, problems=error.problems)
