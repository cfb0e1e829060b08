"""The JSON Schemas of function.yaml and stack.yaml, for editors."""

from stack import console
from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings


def print_schema(*, of_stack: bool) -> None:
    """Print the schema of function.yaml, or of stack.yaml."""
    console.show_json(describe_document(Settings if of_stack else FunctionConfig))
