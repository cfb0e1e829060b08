"""The command line of `processor`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, read_function
from stack.processor.crash_file import FOLDER, CrashFiles
from stack.processor.logger import open_logger, prepare_output
from stack.processor.options import Options, read_options
from stack.processor.post import plan_workers
from stack.processor.rehearsal import run_once
from stack.processor.source.catalogue import preload
from stack.processor.supervisor import Supervisor


def run(arguments: Sequence[str]) -> int:
    """Run the function that the arguments name; return the exit status."""
    options = read_options(arguments)
    prepare_output()
    try:
        function = read_function(options.config, secrets=options.secrets, folder=options.folder)
        return _run_once(function, options.event) if options.event else _serve(function, options)
    except ConfigurationError as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1


def _serve(function: Function, options: Options) -> int:
    function = replace(function, reloads=options.reload)
    # Whoever is not process 1 of a container shares its files with other programs.
    specs = plan_workers(function, CrashFiles(FOLDER if os.getpid() == 1 else None))
    preload(specs)
    supervisor = Supervisor(function, specs, open_logger("processor", function.sink))
    return supervisor.run(options.health_port, options.metrics_port)


def _run_once(function: Function, file_name: str) -> int:
    return run_once(function, file_name)
