"""A message put into one function's queue, to try it: no other function is given it."""

from stack.errors import FunctionError
from stack.plan.entrance import Entrance, Trial
from stack.run.broker.broker import find_broker
from stack.run.broker.publication import publish_amqp
from stack.run.secret.key import function_signature_key
from stack.run.stack import Stack


def put_message(stack: Stack, function: str, entrance: Entrance, trial: Trial) -> None:
    """Put a message into the queue of a function's entrance, as if it had been published; then the broker has it.

    Raises:
        FunctionError: the queue is not there, since the function does not run.
        BrokerError: RabbitMQ does not answer.
    """
    message = entrance.enclose(trial, function_signature_key(stack.workspace, function))
    if not publish_amqp(find_broker(stack), message):
        raise FunctionError(f"There is no queue {entrance.queue}. Deploy the function, then do this again.")
