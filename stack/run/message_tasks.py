"""The tasks that send messages, show them as they pass by, and see to those that failed."""

from invoke import Context

from stack.cli import JSON_HELP, verb


@verb(
    "topic",
    iterable=["header"],
    help={
        "topic": "a topic of MQTT, such as iot/sensors/temperature",
        "exchange": "an exchange of AMQP instead",
        "key": "its routing key; without an exchange the name of a queue",
        "body": "what to send; @FILE reads a file, and - standard input",
        "header": "'Name: value', over AMQP; may be given several times",
        "count": "how often",
        "qos": "MQTT's quality of service, 0 or 1",
        "retain": "have the broker keep it for who subscribes later",
    },
)
def publish(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    topic: str = "",
    exchange: str = "",
    key: str = "",
    body: str = "",
    header: list[str] | None = None,
    count: int = 1,
    qos: int = 1,
    retain: bool = False,
) -> None:
    """Send a message to the broker, over MQTT or AMQP, as a device would."""
    from stack.run.message import PublishRequest, publish_and_print

    publish_and_print(PublishRequest(topic, exchange, key, body, header or (), qos, retain, count))


@verb(
    "pattern",
    help={
        "pattern": "a filter of MQTT, such as plant/+/temperature or plant/#; with an exchange a binding key",
        "exchange": "an exchange of AMQP instead",
        "count": "how many messages to wait for; 0 goes on until Ctrl-C",
        "json": "print each message as a line of JSON",
    },
)
def watch(_: Context, pattern: str, exchange: str = "", count: int = 0, json: bool = False) -> None:
    """Print messages as they pass through the broker; functions get them all the same."""
    from stack.run.message import WatchRequest, watch_and_print

    watch_and_print(WatchRequest(pattern, exchange, count), as_json=json)


@verb(
    "name",
    help={
        "name": "a function; all if left out",
        "show": "the number of one to show as a whole",
        "replay": "send them again to the queues that they came from",
        "purge": "discard them",
        "count": "only the first so many; 0 is all",
        "match": "only those whose body, error, routing key or function has this text",
        "yes": "do not ask",
        **JSON_HELP,
    },
)
def dead_letters(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    name: str = "",
    show: int = 0,
    replay: bool = False,
    purge: bool = False,
    count: int = 0,
    match: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """List the messages that functions could not handle; send them again, or discard them."""
    from stack.run.dead_letter import DeadLetterRequest, handle_dead_letters

    handle_dead_letters(name, DeadLetterRequest(show, replay, purge, count, match), yes=yes, as_json=json)
