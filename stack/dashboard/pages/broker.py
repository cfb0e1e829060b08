"""The broker's page: what it holds, live; messages published by hand, watched, and looked at in their queue."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.config.settings import Settings
from stack.dashboard.live import Fragment, Known, look
from stack.dashboard.page import render
from stack.dashboard.services import Services, services_of
from stack.errors import BrokerError, ConfigError, StackError
from stack.plan.device import EXCHANGE, ROUTING_KEY, TOPIC
from stack.plan.message import read_amqp, read_mqtt
from stack.rabbitmq.management import Broker
from stack.rabbitmq.management_async import ROWS
from stack.rabbitmq.observer import describe_message
from stack.rabbitmq.publication import peek, publish_amqp, publish_mqtt

# Topics for which messages are copied into a queue of our own.
_OBSERVERS = ("devices", "traffic:")
# How many messages of a queue are shown.
_PEEKED = 10
# Bytes of bodies after which no further message is looked at.
_PEEKED_BYTES = 20_000_000
_TAKEN = "Published: a queue took it."
_COPIED = "Published: a queue took it, though perhaps only the one that copies messages for an open page."
_UNHEARD = "Published, but no queue took it: nothing is bound to where it went."
_UNKNOWN = "Published at QoS 0, which the broker does not confirm."

Message = TypeVar("Message")


def _describe(_: Services, _subject: str, known: Known) -> dict[str, Any]:
    broker = known["broker"]
    kinds = ("queues", "exchanges", "bindings")
    is_full = bool(broker) and max(len(broker[kind]) for kind in kinds) >= ROWS
    return {"broker": broker, "used": find_used(broker) if broker else frozenset(), "is_full": is_full, "most": ROWS}


def find_used(broker: Mapping[str, Any]) -> frozenset[str]:
    """Return the exchanges that have a binding or some traffic, and those that are not RabbitMQ's own."""
    bound = {one["source"] for one in broker["bindings"]}
    return frozenset(
        one["name"]
        for one in broker["exchanges"]
        if one["name"] in bound
        or one["in_rate"]
        or one["out_rate"]
        or (one["name"] and not one["name"].startswith("amq."))
    )


STATS = Fragment("broker-stats", "_broker_stats.html", ("broker",), _describe)
TABLES = Fragment("broker-tables", "_broker_tables.html", ("broker",), _describe)


def routes() -> list[BaseRoute]:
    """Return the routes of the page and of its parts."""
    return [
        Route("/broker", show_broker),
        Route("/broker/amqp", send_amqp, methods=["POST"]),
        Route("/broker/mqtt", send_mqtt, methods=["POST"]),
        Route("/broker/peek", ask_to_peek),
        Route("/broker/peek", peek_queue, methods=["POST"]),
    ]


def find_management(settings: Settings, page: URL) -> str:
    """Return where RabbitMQ's own pages are: with TLS other machines reach no other port."""
    if settings.tls.is_on and page.scheme == "https":
        return f"https://{page.hostname}:{settings.ports.management_https}/"
    return f"http://{page.hostname}:{settings.ports.management}/"


async def show_broker(request: Request) -> Response:
    """Show the page."""
    settings = services_of(request).stack().settings
    address = find_management(settings, request.url)
    sample = {"exchange": EXCHANGE, "key": ROUTING_KEY, "topic": TOPIC}
    known = await look(request, STATS.name, TABLES.name)
    return render(request, "broker.html", management=address, sample=sample, **known)


async def send_amqp(request: Request) -> Response:
    """Publish a message to an exchange."""
    return await _publish(request, read_amqp, publish=publish_amqp)


async def send_mqtt(request: Request) -> Response:
    """Publish a message to a topic."""
    return await _publish(request, read_mqtt, publish=publish_mqtt)


async def ask_to_peek(request: Request) -> Response:
    """Show what looking into a queue does to its messages."""
    return render(request, "_peek_form.html", queue=request.query_params.get("queue", ""), most=_PEEKED)


async def peek_queue(request: Request) -> Response:
    """Show the first messages of a queue, which go back to it."""
    queue = (await _read_form(request)).get("queue", "")
    broker = await run_in_threadpool(services_of(request).broker)
    try:
        found = await run_in_threadpool(partial(peek, broker, queue, _PEEKED, most_bytes=_PEEKED_BYTES))
    except BrokerError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    messages = [describe_message(one) for one in found]
    has_more = len(found) == _PEEKED or sum(len(one.body) for one in found) >= _PEEKED_BYTES
    return render(request, "_peeked.html", queue=queue, messages=messages, has_more=has_more)


async def _publish(
    request: Request, read: Callable[[Mapping[str, str]], Message], *, publish: Callable[[Broker, Message], bool | None]
) -> Response:
    """Read a message from the form and publish it; say in the page what became of it."""
    form = await _read_form(request)
    broker = await run_in_threadpool(services_of(request).broker)
    try:
        is_taken = await run_in_threadpool(publish, broker, read(form))
    except ConfigError as error:
        return render(request, "_wrong.html", status=422, message="\n".join(error.problems))
    except StackError as error:
        return render(request, "_wrong.html", status=422, message=str(error))
    is_observing = any(topic.startswith(_OBSERVERS) for topic in services_of(request).broadcaster.watched)
    taken = _COPIED if is_observing else _TAKEN
    outcomes = {True: ("ok", taken), False: ("warn", _UNHEARD), None: ("ok", _UNKNOWN)}
    level, message = outcomes[is_taken]
    return render(request, "_published.html", level=level, message=message)


async def _read_form(request: Request) -> Mapping[str, str]:
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
