"""Messages of an MQTT session, with any broker; paho on an event loop.

The session is persistent: its client id stays the same and the broker keeps what arrives while the function is away.
Messages are acknowledged after the handler.
"""

import asyncio
import math
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode

from stack.processor.configuration import Function
from stack.processor.delivery import Intake, Lost, Report
from stack.processor.loop import find_runner
from stack.processor.source.broker import Delays, SourceContext, read_filters
from stack.processor.source.lock import open_lock
from stack.processor.source.mqtt.client import connect, open_client, read_address
from stack.processor.source.mqtt.connection import Connection, Publish
from stack.processor.source.mqtt.delivery import MqttDelivery
from stack.processor.source.mqtt.retries import BrokerRetries, MemoryRetries, Retries
from stack.processor.source.mqtt.retry_source import RetryQueueSource
from stack.processor.status import State
from stack.processor.threads import start_thread
from stack.processor.worker_spec import WorkerSpec

_LONGEST_DELAY = 15.0
# Seconds after which a connection that is lost was none of those that each message ends; and between looks at whether
# a ping is due, and, at the end, at whether all is written.
_LASTING, _LOOK_SECONDS, _LAST_LOOK_SECONDS = 60.0, 1.0, 0.01
# Packets that are read before they are handled and acknowledged. A broker has only some messages on their way to a
# client, RabbitMQ ten: it would stand still until all of them are handled, and the handler until the next have come.
_AT_ONCE = 4
# Messages that may wait for the handler: QoS 0 would fill the memory; of what is acknowledged the broker holds back.
_WAITING_LIMIT = 10_000


class MqttSource:
    """One session with a broker, and what its subscriptions bring."""

    def __init__(self, context: SourceContext) -> None:
        trigger, intake = context.trigger, context.intake
        self.in_flight = context.in_flight
        self.retries = _open_retries(context)
        self._waiting = self._session = 0
        self._lock = threading.Lock()
        self._filters = read_filters(trigger)
        self._intake = intake
        self._report = context.report
        self._name = trigger.url_to_show
        self._delays = Delays(_LONGEST_DELAY)
        self._connected_at = math.inf
        self._is_stopping = False
        self._address = read_address(trigger)
        self._runner = find_runner(intake)
        self._loop = self._runner.loop
        self._done: deque[tuple[int, int, int]] = deque()
        self._has_acknowledged = False
        self._is_watching = self._is_to_take_on = False
        self._client = open_client(trigger, context.function, self._address)
        # A second replica would take the session from the first, and the other way round.
        self._replica_lock = open_lock(context.function, trigger) if context.function.broker_nodes > 1 else None
        self._listen()

    def _listen(self) -> None:
        client = self._client
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_socket_register_write
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    def start(self) -> None:
        """Connect, subscribe, and do so again for ever."""
        self.retries.start()
        if self._replica_lock:
            self._replica_lock.start()
        self._thread = start_thread("mqtt", self._run)

    def flush(self) -> None:
        """Send the outcomes that were told."""
        self.retries.flush()
        if self._done and not self._runner.do_now(self._acknowledge):
            self._loop.call_soon_threadsafe(self._acknowledge)

    def stop(self) -> None:
        """Take nothing more in; what is not acknowledged stays with the broker."""
        self._is_stopping = True
        self.retries.stop()

    def close(self, timeout: float) -> None:
        """See failed messages to safety, then leave the broker, which keeps the session."""
        self.retries.close(timeout)
        self._loop.call_soon_threadsafe(self._end)
        self._runner.release()
        self._thread.join(timeout)
        if self._replica_lock:
            self._replica_lock.close(timeout)

    def is_current(self, session: int) -> bool:
        """Return whether a connection is the one that there is now, and its messages are still to be handled."""
        return session == self._session and not self._is_stopping

    def note_claim(self) -> None:
        """Note that a message waits no longer."""
        with self._lock:
            self._waiting -= 1

    def acknowledge(self, mid: int, qos: int, session: int) -> None:
        """Note that a message is to be acknowledged with the next flush; from any thread."""
        self._done.append((mid, qos, session))

    def acknowledge_soon(self) -> None:
        """Send what is to be acknowledged; from any thread, also once the source is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._acknowledge)

    def _run(self) -> None:
        self._connect()
        self._keep_alive()
        self._runner.run()
        self._loop.close()

    def _connect(self) -> None:
        """Connect aside: it takes as long as the network takes to say that no one is there."""
        if not self._is_stopping and self._is_inactive():
            self._report(State.READY, "")
            self._loop.call_later(_LOOK_SECONDS, self._connect)
        elif not self._is_stopping:
            attempt = self._loop.run_in_executor(None, connect, self._client, self._address)
            attempt.add_done_callback(self._on_attempt)

    def _is_inactive(self) -> bool:
        """Return whether the session is another replica's."""
        return self._replica_lock is not None and not self._replica_lock.is_held

    def _on_attempt(self, attempt: asyncio.Future[Any]) -> None:
        if error := attempt.exception():
            self._report(State.WAITING, f"no connection to the broker {self._name}: {error}")
            self._connect_later()

    def _connect_later(self) -> None:
        self._loop.call_later(self._delays.next(), self._connect)

    def _keep_alive(self) -> None:
        """Let paho see to its pings."""
        self._client.loop_misc()
        if self._client.is_connected() and self._is_inactive():
            self._client.disconnect()
        self._loop.call_later(_LOOK_SECONDS, self._keep_alive)

    def _read(self, connection: Connection) -> None:
        """Read what has arrived, unless some of what was read before is still to be taken."""
        if connection.has_packet() or connection.receive():
            self._take_packets(connection)

    def _take_packets(self, connection: Connection) -> None:
        """Take a few packets, and the others once these are handled."""
        for _ in range(_AT_ONCE):
            try:
                if publish := connection.take_publish():
                    self._put(publish)
                else:
                    self._client.loop_read()
            except Exception as error:
                # A packet that paho cannot take ends this connection, and not the reading for good.
                self._give_up(error)
                return
            if self._client.socket() is not connection or not connection.has_packet():
                return
        if not self._is_to_take_on:
            self._is_to_take_on = True
            self._loop.call_soon(self._take_on)

    def _take_on(self) -> None:
        self._is_to_take_on = False
        self._take_rest()

    def _take_rest(self) -> None:
        """Take packets that are here already, of which the kernel says nothing."""
        connection = self._client.socket()
        if connection and connection.has_packet():
            self._take_packets(connection)

    def _give_up(self, error: Exception) -> None:
        """Begin again after a packet that cannot be read."""
        self._report(State.WAITING, f"the broker {self._name} sent what is not MQTT: {error!r}")
        self._client.disconnect()

    def _acknowledge(self) -> None:
        connection = self._client.socket()
        while self._done:
            mid, qos, session = self._done.popleft()
            if not connection or session != self._session:
                continue
            self._has_acknowledged = True
            if qos == 1:
                connection.acknowledge(mid)
            else:
                self._client.ack(mid, qos)
        self._write()
        if self._is_to_take_on:
            self._take_rest()

    def _write(self) -> None:
        """Send what there is to send, now or when the connection takes more.

        A connection that is watched with nothing to send would wake the loop without end.
        """
        connection = self._client.socket()
        if not connection:
            return
        is_sent = connection.flush()
        if is_sent and self._client.want_write():
            self._client.loop_write()
            is_sent = connection.flush()
        if is_sent and self._is_watching:
            self._is_watching = False
            self._loop.remove_writer(connection)
        elif not is_sent:
            self._is_watching = True
            self._loop.add_writer(connection, self._write)

    def _end(self) -> None:
        """Disconnect once all is written."""
        self._acknowledge()
        self._client.disconnect()
        self._leave()

    def _leave(self) -> None:
        if self._client.want_write() and self._client.is_connected():
            self._loop.call_later(_LAST_LOOK_SECONDS, self._leave)
        else:
            self._runner.stop()

    def _on_socket_open(self, _client: Client, _data: Any, connection: Any) -> None:
        self._loop.call_soon_threadsafe(self._loop.add_reader, connection, self._read, connection)

    def _on_socket_close(self, _client: Client, _data: Any, connection: Any) -> None:
        self._loop.remove_reader(connection)
        if self._is_watching:
            self._is_watching = False
            self._loop.remove_writer(connection)

    def _on_socket_register_write(self, _client: Client, _data: Any, _connection: Any) -> None:
        """Write soon; paho may call it from any thread."""
        self._loop.call_soon_threadsafe(self._write)

    def _on_connect(self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._report(State.WAITING, f"the broker {self._name} refused the session: {code}")
            return
        self._session += 1
        self._connected_at = time.monotonic()
        if self._filters:
            client.subscribe(list(self._filters.items()))
        else:
            self._report(State.READY, "")

    def _on_subscribe(self, client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        refused = [f"{topic}: {code}" for topic, code in zip(self._filters, codes, strict=False) if code.is_failure]
        if refused:
            self._report(State.REFUSED, f"the broker {self._name} refused the subscription {'; '.join(refused)}")
        else:
            self._report(State.READY, "")

    def _on_disconnect(
        self, client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Any
    ) -> None:
        self._session += 1
        if self._has_acknowledged or time.monotonic() - self._connected_at > _LASTING:
            self._delays.reset()
        self._has_acknowledged = False
        self._connected_at = math.inf
        if not self._is_stopping:
            self._intake.put(Lost())
            self._report(State.WAITING, f"the broker {self._name} is gone: {code}")
            self._connect_later()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        """Take a message of QoS 2, for which paho has seen to the handshake."""
        properties = vars(message.properties) if message.properties else {}
        flags = (message.retain, message.dup, properties)
        self._put(Publish(message.topic.encode(), bytes(message.payload), message.mid, message.qos, *flags))

    def _put(self, publish: Publish) -> None:
        with self._lock:
            if not publish.qos and self._waiting >= _WAITING_LIMIT:
                return
            self._waiting += 1
        self._intake.put(MqttDelivery(self, publish, self._session))


def _open_retries(context: SourceContext) -> Retries:
    if context.function.broker_url:
        return BrokerRetries(RetryQueueSource(context))
    return MemoryRetries(context.trigger.attributes.integer("maxRetries", 3), context.intake, context.report)


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> MqttSource:
    """Return the source of a process, not started yet."""
    return MqttSource(SourceContext(spec.trigger, function, intake, report, spec.in_flight))
