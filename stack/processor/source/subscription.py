"""The topic filters of an mqtt trigger."""

from stack.processor.configuration import Trigger


def read_filters(trigger: Trigger) -> dict[str, int]:
    """Return the topic filters of an mqtt trigger and the quality of service of each.

    Two is taken for one: RabbitMQ has no such quality, and a handler that must see a message at least once gains
    nothing by it.
    """
    subscriptions = trigger.attributes.raw("subscriptions")
    count = len(subscriptions) if isinstance(subscriptions, list) else 0
    items = [trigger.attributes.item("subscriptions", index) for index in range(count)]
    return {item.text("topic"): min(1, item.integer("qos", 0)) for item in items}
