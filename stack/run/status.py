"""What runs, how it is, and where it answers."""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from yaml import YAMLError

from stack import console
from stack.contract import HTTP_PORT
from stack.docker.container import Container
from stack.docker.stack import Stack, describe_age, find_age, open_stack, warn_refused
from stack.docker.swarm.engine import find_other_engine
from stack.errors import BrokerError, StackError
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, SERVICE
from stack.plan.function import count_dead_letters
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway import find_url
from stack.plan.gateway_frontend import DASHBOARD, DASHBOARD_PORT
from stack.plan.key_hint import find_key_hints, find_unrouted
from stack.plan.runtime.registry import explain_version
from stack.plan.stack import find_definitions
from stack.plan.store import PORT as STORE_PORT
from stack.plan.store import SERVICE as STORE
from stack.plan.tls import AMQPS_PORT, GATEWAY_HTTPS_PORT, HTTPS_PORT, MANAGEMENT_HTTPS_PORT, MQTTS_PORT
from stack.plan.trouble import Handling, StoreState, Trouble, find_handling_troubles, read_handling
from stack.processor.processor_stats import ProcessorStats
from stack.rabbitmq.account_use import AccountState, list_accounts
from stack.rabbitmq.drift import BrokerSurvey, survey_stack_broker
from stack.rabbitmq.management import find_broker
from stack.run.function_snapshot import load_publishers
from stack.run.notify import print_failing_channels
from stack.run.processor_stats import fetch_stats
from stack.state.account_use import AccountUse
from stack.state.tls import load_served
from stack.victoriametrics.state import fetch_state

# So many clients of one account are named.
_MOST_CLIENTS = 5
# The broker's ports, and the service that publishes each.
_BROKER_PORTS = (
    ("amqp://", SERVICE, AMQP_PORT),
    ("mqtt://", SERVICE, MQTT_PORT),
    ("amqps://", SERVICE, AMQPS_PORT),
    ("mqtts://", SERVICE, MQTTS_PORT),
    ("http://", GATEWAY, MANAGEMENT_PORT),
    ("https://", GATEWAY, MANAGEMENT_HTTPS_PORT),
)
_FUNCTIONS_PORTS = (("http://", GATEWAY, HTTP_PORT), ("https://", GATEWAY, GATEWAY_HTTPS_PORT))
_PAGES_PORTS = (("http://", DASHBOARD, DASHBOARD_PORT), ("https://", GATEWAY, HTTPS_PORT))


@dataclass(frozen=True)
class _Survey:
    """What was found of the stack at one look."""

    containers: Sequence[Container]
    stats: Mapping[str, ProcessorStats]
    """By the id of the container."""
    broker: BrokerSurvey
    accounts: Sequence[AccountState]
    store: StoreState | None
    dead: Mapping[str, int]
    """How many dead letters there are, by the name of the service."""
    urls: Mapping[str, str]


def print_status(*, as_json: bool) -> None:
    """Show every container of the stack, and what each function has done since its container started.

    Raises:
        StackError: Docker does not tell; where the stack runs by the other engine, that is said too.
    """
    stack = replace(open_stack(is_lenient=True), names_images=False)
    stack.engine.check_engine()
    try:
        found = _survey(stack)
    except StackError as error:
        if other := find_other_engine(stack.engine):
            raise StackError(f"{error}\n{other}") from error
        raise
    if as_json:
        console.show_json(_describe_all(stack, found))
    else:
        _print_all(stack, found)
    for name in find_missing(stack, found.containers):
        console.warn(f"{name} is not there; `invoke up` starts it.")


def find_missing(stack: Stack, containers: Sequence[Container]) -> list[str]:
    """Return the stack's own services without a container, in one that runs; a function may be scaled to none."""
    wanted, file = {SERVICE}, stack.engine.compose_file
    if not stack.engine.is_swarm:
        # What a disk has spoiled `up` writes again.
        with suppress(OSError, YAMLError, KeyError, TypeError):
            wanted |= find_definitions(file.read_bytes()).keys()
    functions = {one.plan(stack.settings).service for one in stack.deployments.values()}
    return sorted(wanted - functions - {one.service for one in containers}) if containers else []


def _survey(stack: Stack) -> _Survey:
    """Ask Docker, then all that runs at once."""
    containers = sorted(stack.engine.containers(), key=lambda one: one.service)
    with ThreadPoolExecutor() as pool:
        stats, store = pool.submit(fetch_stats, stack.engine, containers), pool.submit(fetch_state, stack)
        broker = _survey_broker(stack, containers)
    return _Survey(
        containers=containers,
        stats=stats.result(),
        broker=broker,
        accounts=_fetch_accounts(stack) if _is_there(containers) and not broker.problem else [],
        store=store.result(),
        dead=_count_dead_letters(stack, broker),
        urls=find_urls(stack, containers),
    )


def _describe_all(stack: Stack, found: _Survey) -> list[dict[str, Any]]:
    """Return a document for each container."""
    times = stack.engine.image_times(one.image for one in found.containers)
    hints = _find_hints(stack, found.broker)
    return [
        {
            **_describe(one, found.stats.get(one.id), found.urls, stack.notes),
            **_date(one, times),
            **hints.get(one.function, {}),
            **_describe_messages(one, found),
            **(_describe_store(found.store) if one.service == STORE else {}),
            **(_describe_certificate(stack) if one.service == GATEWAY else {}),
        }
        for one in found.containers
    ]


def _print_all(stack: Stack, found: _Survey) -> None:
    """Print a table, and what else there is to know."""
    if found.containers:
        _print_containers(found)
        _print_broker(found.broker, found.dead)
        _print_accounts(found.accounts)
        print_store(found.store)
        for trouble in _find_certificate_troubles(stack):
            console.warn(str(trouble))
        if (age := find_age(stack)) is not None:
            console.note(describe_age(age))
    elif other := find_other_engine(stack.engine):
        console.warn(other)
    else:
        console.say("Nothing runs. `invoke up` starts the stack.")
    _print_notes(stack, found.broker)


def print_store(store: StoreState | None) -> None:
    """Tell how much the store of readings has, and how much room there is."""
    if store:
        console.note(str(store))
        for one in store.troubles:
            console.warn(str(one))


def _describe_store(store: StoreState | None) -> dict[str, Any]:
    if not store:
        return {}
    return {**asdict(store), "problems": [one.as_document() for one in store.troubles]}


def _find_certificate_troubles(stack: Stack) -> list[Trouble]:
    """Return that a certificate of the user's own has ended, or ends soon; the stack's own is renewed in time."""
    file = stack.settings.tls.certificate
    served = load_served(stack.workspace) if stack.settings.tls.is_on and file else None
    return [trouble] if served and (trouble := served.find_trouble(file)) else []


def _describe_certificate(stack: Stack) -> dict[str, Any]:
    troubles = _find_certificate_troubles(stack)
    return {"problems": [one.as_document() for one in troubles]} if troubles else {}


def _print_notes(stack: Stack, broker: BrokerSurvey) -> None:
    """Tell what there is to know of functions besides how they are."""
    warn_refused(stack)
    for name, found in _find_hints(stack, broker).items():
        for hint in found["hints"]:
            console.warn(f"{name}: {hint}.")
    print_failing_channels(stack)
    for name, text in stack.notes.items():
        console.note(f"{name} {text}.")


def _find_hints(stack: Stack, broker: BrokerSurvey) -> dict[str, dict[str, list[str]]]:
    """Return what is to be told of the keys that functions bind, by the name of each of which there is something."""
    publishers = tuple(load_publishers(stack.workspace))
    plans = (one.plan(stack.settings) for one in stack.deployments.values())
    unrouted = _fetch_unrouted(stack, broker)
    found = {plan.name: [*find_key_hints(plan, publishers), *find_unrouted(plan, unrouted)] for plan in plans}
    return {name: {"hints": hints} for name, hints in found.items() if hints}


def _fetch_unrouted(stack: Stack, broker: BrokerSurvey) -> dict[str, int]:
    """Return how many messages came to exchanges that none has left, if the broker has answered before."""
    try:
        return find_broker(stack).unrouted() if broker.messages else {}
    except BrokerError:
        return {}


def _date(container: Container, times: Mapping[str, datetime]) -> dict[str, str]:
    """Return when a container's image was made, if it is here still."""
    made = times.get(container.image)
    return {"image_created": made.isoformat(timespec="seconds")} if made else {}


def _print_containers(survey: _Survey) -> None:
    rows = []
    for one in survey.containers:
        found = survey.stats.get(one.id)
        rows.append(
            {
                "service": one.service,
                "state": f"not ready: {found.reason}" if found and found.reason else one.condition,
                "answers at": find_address(one, survey.urls),
                "events": str(found.events) if found else "-",
                "failures": str(found.failures) if found else "-",
                "per second": f"{found.rate:.1f}" if found else "-",
            }
        )
    console.show_table(("service", "state", "answers at", "events", "failures", "per second"), rows)
    for trouble in _find_troubles(survey.containers, survey.stats):
        console.warn(f"{trouble.subject}: {trouble.what} {trouble.advice}")
    for one in survey.containers:
        if sentence := explain_version(one.runtime_version):
            console.note(f"{one.function} {sentence}.")


def _survey_broker(stack: Stack, containers: Sequence[Container]) -> BrokerSurvey:
    """Ask the broker, if it runs."""
    return survey_stack_broker(stack, with_oldest=True) if _is_there(containers) else BrokerSurvey()


def _is_there(containers: Sequence[Container]) -> bool:
    return any(one.service == SERVICE and one.is_ready for one in containers)


def _count_dead_letters(stack: Stack, broker: BrokerSurvey) -> dict[str, int]:
    """Return how many dead letters lie in the queues of each function that has some, by the name of its service."""
    plans = [one.plan(stack.settings) for one in stack.deployments.values()]
    plans += [one.plan for one in stack.own_services]
    counts = {plan.service: count_dead_letters(plan, broker.messages) for plan in plans}
    return {name: count for name, count in counts.items() if count}


def _describe_messages(container: Container, found: _Survey) -> dict[str, Any]:
    """Return what a container tells of messages: the broker of its troubles and users, a function of dead letters."""
    if container.service != SERVICE:
        return {"dead_letters": found.dead.get(container.service, 0)} if container.function else {}
    document: dict[str, Any] = {
        "problems": [one.as_document() for one in found.broker.all_troubles],
        "accounts": [one.as_document() for one in found.accounts],
    }
    return document | ({"bridges": [one.as_document() for one in found.broker.bridges]} if found.broker.bridges else {})


def _print_broker(broker: BrokerSurvey, dead: Mapping[str, int]) -> None:
    if broker.problem:
        console.warn(f"The broker was not asked: {broker.problem}")
    for state in broker.bridges:
        console.note(str(state))
    for one in broker.all_troubles:
        console.warn(str(one))
    for service, count in dead.items():
        name = service.removeprefix("function-")
        letters = "1 dead letter" if count == 1 else f"{count} dead letters"
        console.warn(f"{name} has {letters}; `invoke dead-letters {name}` shows, replays and discards them.")


def _fetch_accounts(stack: Stack) -> list[AccountState]:
    """Return who is connected by which account."""
    try:
        return list_accounts(stack, find_broker(stack))
    except BrokerError as error:
        console.warn(f"Who is connected was not asked: {error}")
        return []


def _print_accounts(accounts: Sequence[AccountState]) -> None:
    # In a pipe there is one line for each container; --json has the accounts too.
    if accounts and sys.stdout.isatty():
        headings = ("account", "connections", "seen within a week")
        rows = ((one.account, str(one.connections), _name_uses(one.uses)) for one in accounts)
        console.show_table(headings, (dict(zip(headings, row, strict=True)) for row in rows))


def _name_uses(uses: Sequence[AccountUse]) -> str:
    """Return the clients seen last, each with the day."""
    told = [f"{one.name}, {datetime.fromtimestamp(one.last).astimezone():%d %b}" for one in uses[:_MOST_CLIENTS]]
    more = len(uses) - len(told)
    return "\n".join([*told, *([f"and {more} more"] if more > 0 else [])]) or "-"


def _find_troubles(containers: Sequence[Container], stats: Mapping[str, ProcessorStats]) -> list[Trouble]:
    """Return what is wrong with the handlers of functions, all containers of each taken together."""
    sums: dict[str, Handling] = {}
    for one in containers:
        if found := stats.get(one.id):
            sums[one.function] = sums.get(one.function, Handling()) + read_handling(asdict(found))
    return [trouble for name, handling in sums.items() for trouble in find_handling_troubles(name, handling)]


def _describe(
    container: Container, stats: ProcessorStats | None, urls: Mapping[str, str], notes: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "service": container.service,
        "container": container.name,
        "state": container.state,
        "health": container.health,
        "status": container.status,
        "image": container.image,
        "address": find_address(container, urls),
        **(_describe_runtime(container) if container.function else {}),
        **(asdict(stats) if stats else {}),
        **({"problems": _describe_troubles(container.function, stats)} if stats else {}),
        **({"note": notes[container.function]} if container.function in notes else {}),
    }


def _describe_runtime(container: Container) -> dict[str, str]:
    """Return what a function runs on, and what it asked for: python and wanted_python, or the same of its runtime."""
    name = container.runtime
    return {"runtime": name, name: container.version, f"wanted_{name}": container.wanted_version}


def _describe_troubles(name: str, stats: ProcessorStats) -> list[dict[str, str]]:
    return [trouble.as_document() for trouble in find_handling_troubles(name, read_handling(asdict(stats)))]


def find_urls(stack: Stack, containers: Sequence[Container]) -> dict[str, str]:
    """Return where the gateway has each function that is deployed, all of them, and the broker's and dashboard's pages.

    They are by the name of the service; an address has all the service's ports on this machine.
    """
    plans = (one.plan(stack.settings) for one in stack.deployments.values())
    urls = {one.service: find_url(one, stack.settings) for one in plans}
    for name, ports in ((SERVICE, _BROKER_PORTS), (GATEWAY, _FUNCTIONS_PORTS), (DASHBOARD, _PAGES_PORTS)):
        parts = [
            f"{scheme}{address}"
            for scheme, service, port in ports
            for one in containers
            if one.service == service and (address := one.address(port))
        ]
        urls |= {name: "  ".join(parts)} if parts else {}
    return urls


def find_address(container: Container, urls: Mapping[str, str]) -> str:
    """Return where a container answers on this machine; nothing if it does not."""
    if container.service in urls:
        return urls[container.service]
    ports = (HTTP_PORT, DASHBOARD_PORT, STORE_PORT)
    address = next((found for port in ports if (found := container.address(port))), "")
    return f"http://{address}" if address else ""
