"""Finds the entry of a trigger's kind, by the table of `stack/contract.py`, and what builds the events of triggers."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module

from nuclio_sdk import Event

from stack.contract import KINDS
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Trigger
from stack.processor.event import Builder, encode_event, is_decoding
from stack.processor.message import PooledMessage
from stack.processor.trigger.kind import TriggerKind


def find_kind(trigger: Trigger) -> TriggerKind:
    """Return the kind of a trigger.

    Raises:
        ConfigurationError: there is no such kind; in the words in which its function.yaml is refused.
    """
    if trigger.kind not in KINDS:
        where = f"spec.triggers.{trigger.name}.kind"
        raise ConfigurationError(f"{where}: kind {trigger.kind!r} is not supported yet; supported: {', '.join(KINDS)}")
    kind = _load_kind(trigger.kind)
    return kind.on_amqp if kind.on_amqp and trigger.url.startswith(("amqp://", "amqps://")) else kind


@cache
def _load_kind(name: str) -> TriggerKind:
    kind: TriggerKind = import_module(f"stack.processor.trigger.{KINDS[name]}").KIND
    return kind


def open_builder(trigger: Trigger) -> Builder:
    """Return what makes events of a trigger's messages, as the environment says that texts are to be given."""
    if is_decoding():
        return find_kind(trigger).open_builder(trigger, "strict")
    build = find_kind(trigger).open_builder(trigger, "surrogateescape")
    return lambda message: encode_event(build(message))


def open_pool_builder(triggers: Sequence[Trigger]) -> Builder:
    """Return what makes events of the messages of several triggers that share their workers."""
    builders = [open_builder(trigger) for trigger in triggers]

    def build(pooled: PooledMessage) -> Event:
        return builders[pooled.trigger](pooled.message)

    return build
