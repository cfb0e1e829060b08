"""What to do about a function's build that failed: read from the last lines of its log."""

import re

from stack.plan.dockerfile import POST_COPY, split_commands
from stack.plan.function import FunctionPlan
from stack.plan.package import REQUIREMENTS, requirements_folder
from stack.plan.python import LOWEST

# BuildKit's last word on an image, and on a command.
_MISSING = re.compile(r"failed to resolve source metadata for (\S+): ")
_PROCESS = re.compile(r'process "/bin/sh -c (?P<command>.*)" did not complete')


def advise(plan: FunctionPlan, log: str) -> str:
    """Return what the author can do; nothing where the log says it all."""
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
    if f"pip install --requirement /opt/nuclio/{requirements_folder(plan)}" in command:
        path = "/".join(part for part in (plan.function.folder, requirements_folder(plan), REQUIREMENTS) if part)
        return (
            f"Correct {path}; the lines with ERROR above say what pip could not install. What has to be there before, "
            "such as a compiler, is installed by spec.build.commands."
        )
    if command and _is_early(plan, command):
        return (
            f"That command runs before the function's files are copied, as in Nuclio. If it needs them, put "
            f'"{POST_COPY}" before it in spec.build.commands.'
        )
    return ""


def _is_early(plan: FunctionPlan, command: str) -> bool:
    """Say whether a command of the author's, as BuildKit quotes it, runs before the copy."""
    before, _ = split_commands(plan.spec.build)
    plain = _unquote(command)
    return any(line.kind.upper() == "RUN" and plain.endswith(line.value.strip()) for line in before)


def _unquote(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")
