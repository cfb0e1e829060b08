"""Which Python a function runs on: the one that its author asked for, where it can be had."""

import re
from dataclasses import dataclass

from stack.config.settings import Settings
from stack.plan.image import Ground, python_base

# The processor and cronsim, by which it reads cron's schedules, need datetime.UTC and StrEnum.
LOWEST = (3, 11)
# Labels of a function's image, which its containers have too: the version that was asked for, and the one that it has.
WANTED_LABEL = "io.tidegate.python.wanted"
PYTHON_LABEL = "io.tidegate.python"

_TAG = re.compile(r"(?<=:)(3\.\d+)(\.\d+)?(?=$|-)")


@dataclass(frozen=True)
class Python:
    """A Python: the image that has it, its version where that is known, and the version that was wanted."""

    image: str
    version: str
    wanted: str

    @property
    def is_as_wanted(self) -> bool:
        """Say whether the author gets what was asked for, or asked for nothing."""
        return not self.wanted or self.wanted == self.version


def choose_python(runtime: str, settings: Settings, ground: Ground) -> Python:
    """Choose the image for a runtime such as `python:3.12`.

    A registry has one for each version; packages have the release's own. A version below the lowest that the processor
    runs on is treated as one that cannot be had.
    """
    wanted = runtime.partition(":")[2]
    there = _TAG.search(settings.images.python) if ground.is_registry else None
    if there and wanted and _is_high_enough(wanted):
        return Python(_TAG.sub(wanted, python_base(settings, ground), count=1), wanted, wanted)
    version = there[1] if there else ("" if ground.is_registry else ground.archive.python_version)
    return Python(python_base(settings, ground), version, wanted)


def explain_python(python: Python) -> str:
    """Return a sentence for a person whose function does not get the Python that was asked for."""
    if python.is_as_wanted:
        return ""
    there = f"Python {python.version}" if python.version else "the Python that there is"
    if not _is_high_enough(python.wanted):
        lowest = ".".join(map(str, LOWEST))
        return f"asks for Python {python.wanted} and runs on {there}: the processor needs {lowest} or newer"
    return f"asks for Python {python.wanted} and runs on {there}, the only one that images.source offers here"


def _is_high_enough(version: str) -> bool:
    return tuple(map(int, version.split("."))) >= LOWEST
