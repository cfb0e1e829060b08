"""The versions of Docker that are needed."""

import re

from stack.errors import EngineError
from stack.run.docker.refusal import PROVISION

MINIMUM_ENGINE = (25, 0)
MINIMUM_COMPOSE = (2, 20)


def require_version(name: str, version: str, minimum: tuple[int, int]) -> None:
    """Make sure that a program of Docker's is there, and new enough.

    Raises:
        EngineError: it is not.
    """
    wanted = ".".join(map(str, minimum))
    if not version:
        raise EngineError(f"{name} is not installed; {wanted} or newer is needed. {PROVISION}")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < minimum:
        raise EngineError(f"{name} {version} is too old; {wanted} or newer is needed. {PROVISION}")
