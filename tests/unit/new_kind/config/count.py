"""A kind of trigger that no function needs: it counts."""

from typing import Literal

from pydantic import Field

from stack.config.document import NuclioDocument
from stack.config.trigger.base import BaseTrigger


class CountAttributes(NuclioDocument):
    """How far it counts."""

    up_to: int = Field(gt=0)
    """The last number."""


class CountTrigger(BaseTrigger):
    """Numbers, one after the other."""

    kind: Literal["count"]
    attributes: CountAttributes


MODEL = CountTrigger
