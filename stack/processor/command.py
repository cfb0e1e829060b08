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
from stack.processor.post import plan_posts
from stack.processor.rehearsal import rehearse
from stack.processor.source.catalogue import preload
from stack.processor.supervisor import Supervisor


def run(arguments: Sequence[str]) -> int:
    """Run the function that the arguments name; return the exit status."""
    options = read_options(arguments)
    prepare_output()
    try:
        function = read_function(options.config, secrets=options.secrets, folder=options.folder)
        return _rehearse(function, options.event) if options.event else _serve(function, options)
    except ConfigurationError as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1


def _serve(function: Function, options: Options) -> int:
    function = replace(function, reloads=options.reload)
    # Whoever is not process 1 of a container shares its files with other programs.
    posts = plan_posts(function, CrashFiles(FOLDER if os.getpid() == 1 else None))
    preload(posts)
    supervisor = Supervisor(function, posts, open_logger("processor", function.sink))
    return supervisor.run(options.health_port, options.metrics_port)


def _rehearse(function: Function, file_name: str) -> int:
    return rehearse(function, file_name)
