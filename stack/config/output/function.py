"""Another function of the stack, which is called over HTTP."""

from typing import Literal

from pydantic import Field

from stack.config.output.base import BaseOutput
from stack.config.value import Duration


class FunctionOutput(BaseOutput):
    """A function, by its http trigger."""

    kind: Literal["function"]
    name: str = Field(min_length=1)
    """The function's name."""
    path: str = Field("/", pattern="^/")
    """The path that it is called with."""
    timeout: Duration = "30s"
    """How long its answer may take."""


MODEL = FunctionOutput
