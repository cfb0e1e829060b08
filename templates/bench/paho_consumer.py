"""The reference for events over MQTT: a paho client with a persistent session and QoS 1.

Arguments: the broker's host and port, the user and the password, the client id, and the topic.
"""

import sys

import counter
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


def main(host, port, user, password, identity, topic):
    """Consume for ever."""
    counts = counter.open_counts()
    client = Client(CallbackAPIVersion.VERSION2, identity, clean_session=False)
    client.username_pw_set(user, password)

    def note(_client, _data, _message):
        counts[0] += 1

    client.on_message = note
    client.on_connect = lambda *_: client.subscribe(topic, 1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect(host, int(port))
    client.loop_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
