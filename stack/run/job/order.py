"""Orders of the dashboard to its child processes: `python -m stack.run.job.order ORDER`, each one task of the user's.

What it prints on standard output is why it failed, for whoever started it.
"""

import sys
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stack.errors import StackError
from stack.run.catalogue.saving import remove_function
from stack.run.deploy.deploy import deploy_functions, roll_back
from stack.run.function import delete_function
from stack.run.scale.scale import scale_function


class Order(BaseModel):
    """What is to be done with a function; `number` is a revision, or how many containers."""

    model_config = ConfigDict(frozen=True)

    verb: Literal["deploy", "roll back", "scale", "delete", "remove"]
    name: str
    number: int = 0
    message: str = ""

    def run(self) -> None:
        """Do it.

        Raises:
            StackError: it could not be done.
        """
        match self.verb:
            case "deploy":
                deploy_functions([self.name], message=self.message)
            case "roll back":
                roll_back(self.name, self.number)
            case "scale":
                scale_function(self.name, str(self.number))
            case "delete":
                delete_function(self.name)
            case "remove":
                remove_function(self.name)


def main() -> int:
    """Follow the order that is given; return the exit status."""
    try:
        Order.model_validate_json(sys.argv[1]).run()
    except StackError as error:
        print(error, end="")
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
