"""A topic of MQTT: what is sent to it goes to the exchange where RabbitMQ publishes what MQTT clients send."""

from stack.config.output.mqtt import MqttOutput
from stack.contract import MQTT_EXCHANGE, to_key
from stack.plan.output.kind import OutputKind


class MqttKind(OutputKind[MqttOutput]):
    """An mqtt output."""

    needs_account = True

    def find_address(self, output: MqttOutput) -> tuple[str, str]:
        """Return where MQTT's topics are, and the key of its own."""
        return MQTT_EXCHANGE, to_key(output.topic)

    def name_target(self, output: MqttOutput) -> str:
        """Return the topic."""
        return output.topic


KIND = MqttKind()
