"""RabbitMQ's management API, asked without waiting, and its answers in words of our own."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, encode_basic_auth
from yarl import URL

from stack.errors import BrokerError
from stack.rabbitmq.management import Broker

# Bytes that an answer may have, and how many rows of each kind are asked for: a page shows no more.
_MOST_BYTES = 2_000_000
ROWS = 300
# What RabbitMQ calls them where it counts logins.
_PROTOCOLS = {"amqp091": "AMQP", "mqtt": "MQTT", "http": "HTTP"}
_TIMEOUT = ClientTimeout(total=8.0)

_QUEUE_COLUMNS = (
    "name,durable,exclusive,messages,messages_ready,messages_unacknowledged,consumers,"
    "message_stats.publish,message_stats.publish_details.rate,"
    "message_stats.deliver_get,message_stats.deliver_get_details.rate,message_stats.redeliver"
)
_EXCHANGE_COLUMNS = (
    "name,type,durable,internal,message_stats.publish_in,message_stats.publish_in_details.rate,"
    "message_stats.publish_out,message_stats.publish_out_details.rate"
)
_CONNECTION_COLUMNS = (
    "name,protocol,user,peer_host,peer_port,connected_at,client_properties,user_provided_name,"
    "recv_oct,recv_oct_details.rate,send_oct,send_oct_details.rate"
)
_QUEUES = f"/api/queues/%2F?page=1&page_size={ROWS}&columns={_QUEUE_COLUMNS}"
_MESSAGES = "/api/queues/%2F?columns=name,messages"
_EXCHANGES = f"/api/exchanges/%2F?page=1&page_size={ROWS}&columns={_EXCHANGE_COLUMNS}"
_BINDINGS = "/api/bindings/%2F?columns=source,destination,destination_type,routing_key"
_CONSUMERS = "/api/consumers/%2F?columns=queue.name,channel_details"
_CONNECTIONS = f"/api/connections?page=1&page_size={ROWS}&columns={_CONNECTION_COLUMNS}"


@dataclass(frozen=True)
class Flow:
    """What has passed in all, and how much a second, as RabbitMQ says."""

    total: int
    rate: float


@dataclass(frozen=True)
class Queue:
    """A queue, and the messages that passed it.

    `arrived` counts those that were there or are, since RabbitMQ does not count those as published that come over MQTT.
    """

    name: str
    durable: bool
    exclusive: bool
    messages: int
    ready: int
    unacked: int
    consumers: int
    arrived: int
    published: Flow
    delivered: Flow


@dataclass(frozen=True)
class Exchange:
    """An exchange, and the messages that passed it."""

    name: str
    type: str
    durable: bool
    internal: bool
    taken: Flow
    given: Flow


@dataclass(frozen=True)
class Binding:
    """What leads messages from an exchange to a queue, or to another exchange."""

    source: str
    destination: str
    destination_type: str
    key: str


@dataclass(frozen=True)
class Consumer:
    """Who consumes a queue, and from which address."""

    queue: str
    connection: str
    host: str


@dataclass(frozen=True)
class Refusal:
    """A user name, perhaps empty, whose logins the broker has refused, and from which address and how often."""

    user: str
    host: str
    protocol: str
    count: int


@dataclass(frozen=True)
class Connection:
    """A client, and the bytes that came from it and went to it."""

    name: str
    protocol: str
    client: str
    user: str
    host: str
    port: int
    since: float
    received: Flow
    sent: Flow


class Management:
    """The API of the stack's broker; `find` tells where it is and who may ask."""

    def __init__(self, session: ClientSession, find: Callable[[], Broker]) -> None:
        self._session = session
        self._find = find
        self._broker: Broker | None = None

    async def broker(self) -> Broker:
        """Return where the broker is."""
        if self._broker is None:
            self._broker = await asyncio.to_thread(self._find)
        return self._broker

    async def queues(self) -> Sequence[Queue]:
        """List the queues.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [read_queue(one) for one in (await self._get(_QUEUES))["items"]]

    async def messages(self) -> dict[str, int]:
        """Return how many messages each queue holds, of all queues.

        Raises:
            BrokerError: the broker does not answer.
        """
        return {one["name"]: int(one.get("messages") or 0) for one in await self._get(_MESSAGES)}

    async def exchanges(self) -> Sequence[Exchange]:
        """List the exchanges, the default one with an empty name among them.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [read_exchange(one) for one in (await self._get(_EXCHANGES))["items"]]

    async def bindings(self) -> Sequence[Binding]:
        """List the bindings, each queue's own to the default exchange left out.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [read_binding(one) for one in await self._get(_BINDINGS) if one["source"]][:ROWS]

    async def bindings_of(self, queue: str) -> Sequence[Binding]:
        """List the bindings of one queue.

        Raises:
            BrokerError: there is no such queue, or the broker does not answer.
        """
        found = await self._get(f"/api/queues/%2F/{quote(queue, safe='')}/bindings")
        return [read_binding(one) for one in found if one["source"]]

    async def consumers(self) -> Sequence[Consumer]:
        """List who consumes.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [read_consumer(one) for one in await self._get(_CONSUMERS)]

    async def connections(self) -> Sequence[Connection]:
        """List the clients.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [read_connection(one) for one in (await self._get(_CONNECTIONS))["items"]]

    async def refusals(self) -> Sequence[Refusal]:
        """List the logins that were refused since the broker started, the most frequent first.

        Raises:
            BrokerError: the broker does not answer.
        """
        nodes = [quote(one["name"], safe="") for one in await self._get("/api/nodes?columns=name")]
        found = [read_refusal(one) for node in nodes for one in await self._get(f"/api/auth/attempts/{node}/source")]
        return sorted((one for one in found if one.count), key=lambda one: one.count, reverse=True)[:ROWS]

    async def _get(self, path: str) -> Any:
        broker = await self.broker()
        try:
            return await self._ask(broker, path)
        except BrokerError:
            # It may have another password by now.
            self._broker = None
            raise

    async def _ask(self, broker: Broker, path: str) -> Any:
        credentials = broker.credentials
        token = encode_basic_auth(credentials.username, credentials.password.get_secret_value())
        # yarl would turn the %2F of a name into a slash.
        url = URL(broker.management_url + path, encoded=True)
        try:
            async with self._session.get(url, headers={"Authorization": token}, timeout=_TIMEOUT) as answer:
                if answer.status != 200:
                    raise BrokerError(f"RabbitMQ answered {answer.status} {answer.reason}.")
                return json.loads(await _read(answer))
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            raise BrokerError(f"RabbitMQ does not answer at {broker.management_url}.") from error


async def _read(answer: ClientResponse) -> bytes:
    """Read an answer as long as it is of a size that a page can be made of."""
    body = bytearray()
    async for block in answer.content.iter_any():
        body += block
        if len(body) > _MOST_BYTES:
            raise BrokerError("RabbitMQ has more to tell than a page can show; its own pages show all.")
    return bytes(body)


def read_queue(document: dict[str, Any]) -> Queue:
    """Read one queue; a new one has no figures yet."""
    figures = document.get("message_stats") or {}
    ready = int(document.get("messages_ready", 0))
    return Queue(
        name=document["name"],
        durable=bool(document.get("durable")),
        exclusive=bool(document.get("exclusive")),
        messages=int(document.get("messages", 0)),
        ready=ready,
        unacked=int(document.get("messages_unacknowledged", 0)),
        consumers=int(document.get("consumers", 0)),
        arrived=int(figures.get("deliver_get", 0)) - int(figures.get("redeliver", 0)) + ready,
        published=_read_flow(figures, "publish"),
        delivered=_read_flow(figures, "deliver_get"),
    )


def read_exchange(document: dict[str, Any]) -> Exchange:
    """Read one exchange."""
    return Exchange(
        name=document["name"],
        type=document["type"],
        durable=bool(document.get("durable")),
        internal=bool(document.get("internal")),
        taken=_read_flow(document.get("message_stats"), "publish_in"),
        given=_read_flow(document.get("message_stats"), "publish_out"),
    )


def read_binding(document: dict[str, Any]) -> Binding:
    """Read one binding."""
    return Binding(document["source"], document["destination"], document["destination_type"], document["routing_key"])


def read_refusal(document: dict[str, Any]) -> Refusal:
    """Read who tried to log in from where, and how often that was refused."""
    return Refusal(
        user=document.get("username") or "",
        host=(document.get("remote_address") or "").removeprefix("::ffff:"),
        protocol=_PROTOCOLS.get(document.get("protocol") or "", ""),
        count=int(document.get("auth_attempts_failed", 0)),
    )


def read_consumer(document: dict[str, Any]) -> Consumer:
    """Read one consumer; of one over MQTT the broker tells no channel."""
    channel = document.get("channel_details") or {}
    return Consumer(document["queue"]["name"], channel.get("connection_name", ""), channel.get("peer_host", ""))


def read_connection(document: dict[str, Any]) -> Connection:
    """Read one connection; a client over MQTT names itself by its id, one over AMQP may have given a name."""
    properties = document.get("client_properties") or {}
    names = (properties.get("client_id"), document.get("user_provided_name"), properties.get("connection_name"))
    return Connection(
        name=document["name"],
        protocol=document.get("protocol", ""),
        client=next((name for name in names if name), ""),
        user=document.get("user", ""),
        host=document.get("peer_host", ""),
        port=int(document.get("peer_port", 0)),
        since=document.get("connected_at", 0) / 1000,
        received=_read_flow(document, "recv_oct"),
        sent=_read_flow(document, "send_oct"),
    )


def _read_flow(document: dict[str, Any] | None, name: str) -> Flow:
    """Read a counter and its rate, both of which are left out where nothing has passed yet."""
    figures = document or {}
    return Flow(int(figures.get(name, 0)), float((figures.get(f"{name}_details") or {}).get("rate", 0.0)))
