"""Messages of MQTT topics: on the stack's broker by a queue that the topics' routing keys are bound to."""

from collections.abc import Mapping

from stack.config.trigger.base import QUORUM
from stack.config.trigger.mqtt import MqttTrigger
from stack.contract import MQTT_EXCHANGE, name_queue, to_key, to_topic
from stack.plan.broker import MQTT_URL, Bound
from stack.plan.trigger.broker import BrokerKind
from stack.plan.trigger.kind import Named, Scaffold


class MqttKind(BrokerKind[MqttTrigger]):
    """An mqtt trigger."""

    scaffold = Scaffold("mqtt", "MQTT topic", "invoke client --protocol mqtt --count 20 --rate 0")
    stack_url = MQTT_URL
    # Its failed messages are kept there, whatever its broker.
    falls_back = True
    address_name = "Topic"
    test_hint = "Goes into the queue of this function alone, as if published."

    def find_queue(self, function: Named, name: str, trigger: MqttTrigger) -> Bound | None:
        """Return its queue; where its broker is another, only failed messages come into it."""
        topics = (to_key(one.topic) for one in trigger.attributes.subscriptions if self.is_on_stack(trigger))
        queue, queue_type = self.name_queue(function, name, trigger), self.find_queue_type(trigger)
        return Bound(MQTT_EXCHANGE, True, queue, True, tuple(dict.fromkeys(topics)), queue_type)

    def has_lock(self, trigger: MqttTrigger, nodes: int) -> bool:
        """Return whether it has a session, which is one replica's: another's would end it."""
        return nodes > 1 and not self.is_on_stack(trigger)

    def list_names(self, trigger: MqttTrigger) -> Mapping[str, str]:
        """Return its queue."""
        return {"queueName": trigger.attributes.queue_name}

    def name_queue(self, function: Named, name: str, trigger: MqttTrigger) -> str:
        """Return its queue on the stack's own broker."""
        return trigger.attributes.queue_name or name_queue(function.namespace, function.name, name)

    def find_queue_type(self, trigger: MqttTrigger) -> str:
        """Return the type of that queue."""
        return trigger.attributes.queue_type or QUORUM

    def to_key(self, address: str) -> str:
        """Return the routing key that RabbitMQ makes of a topic."""
        return to_key(address)

    def to_address(self, key: str) -> str:
        """Return the topic that RabbitMQ makes of a routing key."""
        return to_topic(key)


KIND = MqttKind()
