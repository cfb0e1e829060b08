"""The kinds of triggers that there is a source for."""

from typing import NoReturn

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Trigger

KINDS = ("http", "rabbit-mq", "mqtt", "cron")


def check_kind(trigger: Trigger) -> None:
    """Make sure that a trigger's kind has a source.

    Raises:
        ConfigurationError: it has none.
    """
    if trigger.kind not in KINDS:
        refuse_kind(trigger)


def refuse_kind(trigger: Trigger) -> NoReturn:
    """Refuse a trigger of another kind, in the words in which its function.yaml is refused.

    Raises:
        ConfigurationError: always.
    """
    where = f"spec.triggers.{trigger.name}.kind"
    raise ConfigurationError(f"{where}: kind {trigger.kind!r} is not supported yet; supported: {', '.join(KINDS)}")
