"""The command line of `processor`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import read_function
from stack.processor.logger import open_logger, prepare_output
from stack.processor.post import plan_posts
from stack.processor.probe import HEALTH_PORT, probe
from stack.processor.source.catalogue import preload
from stack.processor.supervisor import Supervisor

_CONFIG = "/etc/nuclio/config/processor/processor.yaml"
_SECRETS = "/run/secrets"
_FOLDER = "/opt/nuclio"


def run(arguments: Sequence[str]) -> int:
    """Run the function that the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(prog="processor", description="Run a function.")
    parser.add_argument("--config", type=Path, default=Path(_CONFIG), help="processor.yaml (%(default)s)")
    parser.add_argument("--secrets", type=Path, default=Path(_SECRETS), help="folder of secrets (%(default)s)")
    folder = os.environ.get("NUCLIO_PYTHON_PATH") or _FOLDER
    parser.add_argument("--folder", type=Path, default=Path(folder), help="folder of the user's files (%(default)s)")
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, help="port of /ready and /live (%(default)s)")
    parser.add_argument("--health", action="store_true", help="only ask a running processor whether it is ready")
    options = parser.parse_args(arguments)
    if options.health:
        return probe(options.health_port)
    return _serve(options.config, options.secrets, options.folder, options.health_port)


def _serve(config: Path, secrets: Path, folder: Path, health_port: int) -> int:
    prepare_output()
    try:
        function = read_function(config, secrets=secrets, folder=folder)
        posts = plan_posts(function)
        preload(posts)
        return Supervisor(function, posts, open_logger("processor", function.log_level)).run(health_port)
    except ConfigurationError as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1
