"""What the command `processor` is told."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.contract import HEALTH_PORT, METRICS_PORT

_CONFIG = "/etc/nuclio/config/processor/processor.yaml"
_SECRETS = "/run/secrets"
_FOLDER = "/opt/nuclio"


def _find_folder() -> Path:
    return Path(os.environ.get("NUCLIO_PYTHON_PATH") or _FOLDER)


@dataclass(frozen=True)
class Options:
    """Where things are, and what to do."""

    config: Path = Path(_CONFIG)
    secrets: Path = Path(_SECRETS)
    folder: Path = field(default_factory=_find_folder)
    health_port: int = HEALTH_PORT
    metrics_port: int = METRICS_PORT
    reload: bool = False
    event: str = ""


def read_options(arguments: Sequence[str]) -> Options:
    """Read the arguments; ends the program where they are wrong, or ask for help."""
    known = Options()
    parser = argparse.ArgumentParser(prog="processor", description="Run a function.")
    parser.add_argument("--config", type=Path, default=known.config, help="processor.yaml (%(default)s)")
    parser.add_argument("--secrets", type=Path, default=known.secrets, help="folder of secrets (%(default)s)")
    parser.add_argument("--folder", type=Path, default=known.folder, help="folder of the user's files (%(default)s)")
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, help="port of /ready and /live (%(default)s)")
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics (%(default)s)")
    parser.add_argument("--reload", action="store_true", help="load the handler again on SIGUSR1")
    parser.add_argument(
        "--event", default="", help="handle the one event in this JSON file, - for standard input, and end"
    )
    return Options(**vars(parser.parse_args(arguments)))
