"""What to do about a function whose build or start failed: read from the last lines of its log."""

import posixpath
import re

from stack.config.build import POST_COPY
from stack.plan.code_entry import runs_as_is
from stack.plan.dockerfile import split_commands
from stack.plan.function import FunctionPlan
from stack.plan.runtime.python import LOWEST

# BuildKit's last word on an image, and on a command.
_MISSING = re.compile(r"failed to resolve source metadata for (\S+): ")
_PROCESS = re.compile(r'process "/bin/sh -c (?P<command>.*)" did not complete')
# Docker's last words on what a container is to have of the machine.
_NO_SOURCE = re.compile(r"bind source path does not exist: (\S+)")
_NO_DEVICE = re.compile(r'adding custom device "([^"]+)"')


def explain(plan: FunctionPlan, log: str) -> str:
    """Return why a build, or a pull, failed: the place in the handler's file alone, or else the log and what to do."""
    if (checked := plan.runtime.checked) and (wrong := checked.search(log)):
        place = f"{plan.function.folder}/{wrong['file']}, line {wrong['line']}"
        return f"{place}: {wrong['error']}; correct it, then deploy again."
    return "\n".join(part for part in (log, advise(plan, log)) if part)


def advise(plan: FunctionPlan, log: str) -> str:
    """Return what the author of a build, or a pull, that failed can do; nothing where the log says it all."""
    if runs_as_is(plan.function):
        return f"Check spec.image in {plan.function.folder}; an image of this machine alone has to be there before."
    if missing := _MISSING.search(log):
        return (
            f"No registry that can be reached offers {missing[1]}. A function needs none without spec.build.baseImage "
            "and `processor: nuclio`."
        )
    match = _PROCESS.search(log)
    command = match["command"] if match else ""
    if "/opt/tidegate/requirements.lock" in command:
        lowest = ".".join(map(str, LOWEST))
        return f"spec.build.baseImage: the processor needs Python {lowest} or newer in it, as python3, with pip."
    folder = plan.runtime.locate_requirements(plan.function, plan.handler)
    if plan.runtime.installer.format(folder=folder) in command:
        return (
            f"Correct {_requirements_path(plan)}; the lines above say what could not be installed. What has "
            "to be there before, such as a compiler, is installed by spec.build.commands."
        )
    if command and _is_early(plan, command):
        return (
            f"That command runs before the function's files are copied, as in Nuclio. If it needs them, put "
            f'"{POST_COPY}" before it in spec.build.commands.'
        )
    return ""


def advise_start(plan: FunctionPlan, log: str) -> str:
    """Return what the author of a function that does not start can do; nothing where the log says it all.

    A module that is called as one of the function's own files is not asked of pip.
    """
    if absent := _NO_SOURCE.search(log):
        return f"Make {absent[1]}, or correct spec.volumes in {plan.function.folder}."
    if absent := _NO_DEVICE.search(log):
        return f"There is no device {absent[1]} on this machine; correct spec.devices in {plan.function.folder}."
    missing = plan.runtime.missing_module.search(log)
    own = {posixpath.splitext(part)[0] for file in plan.function.files for part in file.path.split("/")}
    if not missing or missing[1] in own or runs_as_is(plan.function):
        return ""
    return f"Add {missing[1]}, or the package that has it, to {_requirements_path(plan)}, then deploy again."


def _requirements_path(plan: FunctionPlan) -> str:
    folder = plan.runtime.locate_requirements(plan.function, plan.handler)
    return posixpath.join(plan.function.folder, folder, plan.runtime.requirements)


def _is_early(plan: FunctionPlan, command: str) -> bool:
    """Return whether a command of the author's, as BuildKit quotes it, runs before the copy."""
    before, _ = split_commands(plan.spec.build)
    plain = _unquote(command)
    return any(line.kind.upper() == "RUN" and plain.endswith(line.value.strip()) for line in before)


def _unquote(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")
