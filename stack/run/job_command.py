"""Orders of the dashboard to its child processes: `python -m stack.run.job_command ORDER`, each one task of the user's.

What it prints on standard output is why it failed, for the process that started it.
"""

import sys

from stack.errors import StackError
from stack.run.deploy import deploy_functions, roll_back
from stack.run.function import delete_function
from stack.run.import_export import remove_function
from stack.run.job import FunctionCommand
from stack.run.scale import scale_function


def run_order(order: FunctionCommand) -> None:
    """Do it.

    Raises:
        StackError: it could not be done.
    """
    match order.verb:
        case "deploy":
            deploy_functions([order.name], message=order.message, notes=order.notes)
        case "roll back":
            roll_back(order.name, order.number)
        case "scale":
            scale_function(order.name, str(order.number))
        case "delete":
            delete_function(order.name)
        case "remove":
            remove_function(order.name)


def main() -> int:
    """Follow the order that is given; return the exit status."""
    try:
        run_order(FunctionCommand.model_validate_json(sys.argv[1]))
    except StackError as error:
        print(error, end="")
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
