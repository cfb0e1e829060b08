"""Another function of the stack."""

from stack.config.output.function import FunctionOutput
from stack.plan.output.kind import OutputKind


class FunctionKind(OutputKind[FunctionOutput]):
    """A function output."""

    def find_function(self, output: FunctionOutput) -> str:
        """Return the function's name."""
        return output.name

    def name_target(self, output: FunctionOutput) -> str:
        """Return the function's name."""
        return output.name


KIND = FunctionKind()
