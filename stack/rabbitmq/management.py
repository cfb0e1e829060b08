"""The one door to RabbitMQ: where it is, and its management API."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import HTTPError, ReadTimeoutError

from stack import console
from stack.contract import DEAD, RETRY
from stack.errors import BrokerError
from stack.plan.account import administrator
from stack.plan.backup import Sample
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, Credentials, find_host
from stack.plan.drift import Binding
from stack.state.http_client import basic_authorization, explain, open_local_pool
from stack.state.workspace import is_inside

if TYPE_CHECKING:
    from stack.docker.stack import Stack

_TIMEOUT_SECONDS = 10
# As much as RabbitMQ tells at once.
_PAGE = 500
_BAD_REQUEST = 400
# What is answered where a condition does not hold, or a quorum queue is given one. RabbitMQ fails to write the reason,
# which has the queue's name in it, where that is not of ASCII (seen with RabbitMQ 4.0).
_CONDITION_FAILED = (_BAD_REQUEST, 500)
_NOT_FOUND = 404
# Statuses of who may not ask.
DENIED = (401, 403)
# What the gateway answers for a broker that does not.
_GATEWAY_SAYS = frozenset({502, 503, 504})
_UP = "Type `invoke up`, then this again."


class RefusedError(BrokerError):
    """The broker does not do what it was asked to, and says so with an HTTP status."""

    UNAUTHORIZED = 401

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Depth:
    """How many messages a queue holds, those in progress included, and how many are published to it a second."""

    messages: int
    rate: float


class _CutOffRetry(Retry):
    """Asks again what was cut off: a gateway that starts again closes connections without an answer."""

    def increment(self, *args: Any, **details: Any) -> Self:
        """Return what is left of it; who has not answered in time is not waited for once more."""
        if isinstance(error := details.get("error"), ReadTimeoutError):
            raise error
        return super().increment(*args, **details)


# Over 3 s; a port where nothing listens is told at once.
_RETRIES = _CutOffRetry(
    total=4, connect=0, read=4, status=0, other=0, backoff_factor=0.2, allowed_methods=["GET", "PUT", "DELETE"]
)


@dataclass(frozen=True)
class Broker:
    """RabbitMQ, as this machine reaches it, and who logs in."""

    host: str
    amqp_port: int
    mqtt_port: int
    management_port: int
    credentials: Credentials

    @property
    def amqp_url(self) -> str:
        """Return the URL for AMQP clients, with the password in it."""
        return self.credentials.url(self.host, self.amqp_port)

    @property
    def management_url(self) -> str:
        """Return the address of RabbitMQ's own pages."""
        return f"http://{self.host}:{self.management_port}"

    def queues(self) -> dict[str, int]:
        """Return how many messages each queue holds.

        Raises:
            BrokerError: the broker does not answer.
        """
        found = self.request("GET", "/api/queues?disable_stats=true&enable_queue_totals=true")
        return {str(queue["name"]): int(queue.get("messages", 0)) for queue in found}

    def unrouted(self) -> dict[str, int]:
        """Return how many messages came to each exchange that none has left for a queue, since the broker started.

        Raises:
            BrokerError: the broker does not answer.
        """
        found = self.fetch_list("/api/exchanges/%2F?columns=name,message_stats.publish_in,message_stats.publish_out")
        counts = {str(one["name"]): one.get("message_stats") or {} for one in found}
        return {name: int(one.get("publish_in", 0)) for name, one in counts.items() if not one.get("publish_out")}

    def depths(self) -> dict[str, Depth]:
        """Return how full each queue is, and how fast it fills.

        Raises:
            BrokerError: the broker does not answer.
        """
        return {str(queue["name"]): _read_depth(queue) for queue in self._pages("/api/queues")}

    def samples(self) -> dict[str, Sample]:
        """Return the durable queues of this virtual host, each as RabbitMQ's figures have it, which are a second old.

        Raises:
            BrokerError: the broker does not answer.
        """
        return {str(one["name"]): _read_sample(one) for one in self._pages("/api/queues") if one.get("durable")}

    def fetch_list(self, path: str) -> list[dict[str, Any]]:
        """Return those of a list that there are figures of: of a node that comes or goes RabbitMQ tells none.

        Raises:
            BrokerError: the broker does not answer.
        """
        found = self.request("GET", path)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def export_definitions(self) -> dict[str, Any]:
        """Return what RabbitMQ knows besides messages: users, exchanges, queues, bindings, policies.

        Raises:
            BrokerError: the broker does not answer, or refuses this account.
        """
        return dict(self.request("GET", "/api/definitions"))

    def delete_queue(self, name: str) -> None:
        """Delete a queue and what it holds; one that does not exist is no error."""
        self.request("DELETE", _queue_path(name))

    def delete_idle_queue(self, name: str) -> bool:
        """Delete a classic queue, unless it holds a message or somebody consumes it; return whether it is gone."""
        try:
            self.request("DELETE", f"{_queue_path(name)}?if-empty=true&if-unused=true")
        except RefusedError as error:
            if error.code in _CONDITION_FAILED:
                return False
            raise
        return True

    def bindings(self, queue: str) -> dict[Binding, str]:
        """Return what brings messages into a queue from an exchange, and how the broker calls each."""
        found = self.request("GET", f"{_queue_path(queue)}/bindings")
        return {
            Binding(queue, one["source"], one["routing_key"]): one["properties_key"] for one in found if one["source"]
        }

    def unbind(self, binding: Binding, key: str) -> None:
        """Remove a binding; one that does not exist is no error."""
        ends = f"e/{quote(binding.exchange, safe='')}/q/{quote(binding.queue, safe='')}"
        self.request("DELETE", f"/api/bindings/%2F/{ends}/{quote(key, safe='')}")

    def import_definitions(self, definitions: Mapping[str, object]) -> None:
        """Make what a document of RabbitMQ's definitions names; what is there and in it is changed.

        Raises:
            BrokerError: the broker does not answer, or refuses.
        """
        self.request("POST", "/api/definitions", definitions)

    def delete_user(self, name: str) -> None:
        """Delete an account; one that does not exist is no error.

        Raises:
            BrokerError: the broker does not answer.
        """
        self.request("DELETE", f"/api/users/{quote(name, safe='')}")

    def delete_permission(self, name: str) -> None:
        """Take from an account what it may do; one that may do nothing is no error.

        Raises:
            BrokerError: the broker does not answer.
        """
        for kind in ("permissions", "topic-permissions"):
            self.request("DELETE", f"/api/{kind}/%2F/{quote(name, safe='')}")

    def _pages(self, path: str) -> Iterator[Any]:
        """Yield all that there is at a path, of which RabbitMQ tells a page at a time."""
        for number in count(1):
            page = self.request("GET", f"{path}?page={number}&page_size={_PAGE}")
            yield from page["items"]
            if number >= page["page_count"]:
                return

    def request(self, method: str, path: str, document: object = None) -> Any:
        """Ask the management API, with a document of JSON if one is given; return what it answers, None if nothing.

        To delete what does not exist is no error.

        Raises:
            BrokerError: the broker does not answer, or refuses.
        """
        login = basic_authorization(self.credentials.username, self.credentials.password.get_secret_value())
        headers = {"Content-Type": "application/json", "Authorization": login}
        url = self.management_url + path
        try:
            with open_local_pool() as pool:
                answer = pool.request(
                    method,
                    url,
                    json=document,
                    headers=headers,
                    timeout=_TIMEOUT_SECONDS,
                    retries=_RETRIES,
                    redirect=False,
                )
        except HTTPError as error:
            raise BrokerError(f"RabbitMQ does not answer at {self.management_url}: {explain(error)}. {_UP}") from error
        if answer.status == _NOT_FOUND and method == "DELETE":
            return None
        if answer.status in _GATEWAY_SAYS:
            raise BrokerError(f"RabbitMQ does not answer at {self.management_url}. {_UP}")
        if answer.status >= _BAD_REQUEST:
            raise _refuse(method, path, answer=answer)
        return answer.json() if answer.data else None


def _refuse(method: str, path: str, *, answer: BaseHTTPResponse) -> RefusedError:
    advice = f" It may not know Tidegate's own account yet. {_UP}" if answer.status == RefusedError.UNAUTHORIZED else ""
    return RefusedError(f"RabbitMQ refused {method} {path}: {answer.status} {answer.reason}.{advice}", answer.status)


def find_broker(stack: "Stack") -> Broker:
    """Return the stack's broker, as this program reaches it, for Tidegate's own account."""
    return _find_broker(stack, administrator(stack.vault.key))


def find_device_broker(stack: "Stack") -> Broker:
    """Return the stack's broker, as this program reaches it, for the account of people and devices."""
    return _find_broker(stack, stack.credentials)


def _find_broker(stack: "Stack", credentials: Credentials) -> Broker:
    if is_inside():
        return Broker(find_host(stack.settings), AMQP_PORT, MQTT_PORT, MANAGEMENT_PORT, credentials)
    ports = stack.settings.ports
    return Broker(stack.settings.host, ports.amqp, ports.mqtt, ports.management, credentials)


def _queue_path(name: str) -> str:
    return f"/api/queues/%2F/{quote(name, safe='')}"


def _read_depth(queue: dict[str, Any]) -> Depth:
    rate = queue.get("message_stats", {}).get("publish_details", {}).get("rate", 0.0)
    return Depth(int(queue.get("messages", 0)), float(rate))


def _read_sample(queue: dict[str, Any]) -> Sample:
    stats, held = queue.get("message_stats", {}), queue.get("messages_unacknowledged", 0)
    taken = sum(int(stats.get(name, 0)) for name in ("ack", "deliver_no_ack", "get_no_ack"))
    return Sample(int(queue.get("messages_ready", 0)), int(held), int(stats.get("publish", 0)), taken)


def delete_queues(stack: "Stack", names: Sequence[str]) -> None:
    """Delete queues that no one else consumes, with their queues of retries; nothing where the broker is down.

    A queue of dead letters goes too, unless it holds any: they can still be looked at.
    """
    broker = find_broker(stack)
    try:
        for queue, messages in broker.queues().items():
            if _belongs(queue, messages, names=names):
                broker.delete_queue(queue)
    except BrokerError as error:
        console.warn(f"The queues {', '.join(names)} were not deleted: {error}")


def _belongs(queue: str, messages: int, *, names: Sequence[str]) -> bool:
    source, is_retry, _ = queue.partition(RETRY)
    if queue in names or (is_retry and source in names):
        return True
    return queue.endswith(DEAD) and not messages and queue.removesuffix(DEAD) in names
