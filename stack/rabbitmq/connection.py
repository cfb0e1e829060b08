"""AMQP connections of Tidegate's own programs, none of which waits for ever where the broker takes no messages.

A broker that is short of memory or disk reads nothing more from a connection that publishes, until it has room.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pika import BlockingConnection, URLParameters
from pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ConnectionBlockedTimeout,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from stack.errors import BrokerError
from stack.plan.trouble import NODE_COLUMNS, find_alarms
from stack.rabbitmq.management import Broker

# Seconds for which the broker may take nothing: an alarm is often over sooner.
_BLOCKED_SECONDS = 20.0
_NEXT = "`invoke status` says what to do; then this again."


def plan_connection(broker: Broker, name: str) -> URLParameters:
    """Return how to connect, under a name by which the broker's pages show it."""
    parameters = URLParameters(broker.amqp_url)
    parameters.client_properties = {"connection_name": name}
    parameters.blocked_connection_timeout = _BLOCKED_SECONDS
    return parameters


@contextmanager
def connected(broker: Broker, name: str, kept: str) -> Iterator[BlockingConnection]:
    """Yield a connection; `kept` says what is not lost where the broker takes no messages.

    Raises:
        BrokerError: the broker does not answer, or has taken no messages for too long.
        AMQPError: the connection broke, or the broker refused something.
    """
    try:
        with _connect(broker, name) as connection:
            yield connection
    except ConnectionBlockedTimeout as error:
        raise BrokerError(
            f"RabbitMQ has taken no messages for {_BLOCKED_SECONDS:.0f} s: it is short of disk or memory. "
            f"{kept} {_NEXT}"
        ) from error


def _connect(broker: Broker, name: str) -> BlockingConnection:
    try:
        return BlockingConnection(plan_connection(broker, name))
    except (AuthenticationError, ProbableAuthenticationError, ProbableAccessDeniedError) as error:
        raise BrokerError("RabbitMQ refuses Tidegate's account. Type `invoke up`, which mends it.") from error
    except (AMQPError, OSError) as error:
        address = f"{broker.host}:{broker.amqp_port}"
        raise BrokerError(f"RabbitMQ does not answer at {address}. Type `invoke up`, then this again.") from error


def check_room(broker: Broker) -> None:
    """Refuse to begin what a broker that takes no messages would leave half done.

    Raises:
        BrokerError: it takes none, or does not answer.
    """
    nodes = broker.fetch_list(f"/api/nodes?columns={NODE_COLUMNS}")
    for alarm in find_alarms(nodes):
        raise BrokerError(f"RabbitMQ {alarm.what} Nothing was moved. {alarm.advice} Then this again.")
