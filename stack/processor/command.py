"""The command line of `processor`."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, read_function
from stack.processor.logger import open_logger, prepare_output
from stack.processor.post import plan_posts
from stack.processor.probe import HEALTH_PORT, METRICS_PORT, probe
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
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics (%(default)s)")
    parser.add_argument("--health", action="store_true", help="only ask a running processor whether it is ready")
    parser.add_argument("--reload", action="store_true", help="load the handler anew on SIGUSR1")
    parser.add_argument("--event", help="handle the one event in this JSON file, - for standard input, and end")
    options = parser.parse_args(arguments)
    if options.health:
        return probe(options.health_port)
    prepare_output()
    try:
        function = read_function(options.config, secrets=options.secrets, folder=options.folder)
        return _rehearse(function, options.event) if options.event else _serve(function, options)
    except ConfigurationError as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1


def _serve(function: Function, options: argparse.Namespace) -> int:
    function = replace(function, reloads=options.reload)
    posts = plan_posts(function)
    preload(posts)
    supervisor = Supervisor(function, posts, open_logger("processor", function.sink))
    return supervisor.run(options.health_port, options.metrics_port)


def _rehearse(function: Function, file_name: str) -> int:
    from stack.processor.rehearsal import rehearse

    return rehearse(function, file_name)
