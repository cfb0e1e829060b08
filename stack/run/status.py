"""What runs, how it is, and where it answers."""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from stack import console
from stack.contract import HEALTH_PORT, HTTP_PORT
from stack.docker.container import Container, ask
from stack.docker.container import find_url as find_container_url
from stack.docker.engine import Engine
from stack.docker.stack import Stack, describe_age, find_age, open_stack, warn_refused
from stack.docker.swarm.engine import find_other_engine
from stack.errors import BrokerError
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, SERVICE
from stack.plan.function import count_dead_letters
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway import find_url
from stack.plan.gateway_frontend import DASHBOARD, DASHBOARD_PORT
from stack.plan.key_hint import find_key_hints, find_unrouted
from stack.plan.runtime.registry import explain_version
from stack.plan.store import PORT as STORE_PORT
from stack.plan.store import SERVICE as STORE
from stack.plan.tls import AMQPS_PORT, GATEWAY_HTTPS_PORT, HTTPS_PORT, MANAGEMENT_HTTPS_PORT, MQTTS_PORT
from stack.plan.trouble import Handling, StoreState, Trouble, find_handling_troubles
from stack.rabbitmq.account_use import AccountState, list_accounts
from stack.rabbitmq.drift import BrokerSurvey, survey_stack_broker
from stack.rabbitmq.management import find_broker
from stack.run.function_snapshot import load_publishers
from stack.run.notify import print_failing_channels
from stack.state.account_use import AccountUse
from stack.state.workspace import is_inside
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
class Figures:
    """One container's figures since it started; `reason` is why it cannot handle events, empty when it can."""

    reason: str = ""
    refusal: str = ""
    """Which queue of failed messages the broker refuses, and why; empty when it does not."""
    events: int = 0
    failures: int = 0
    rate: float = 0.0
    """Events a second, over the last minute."""
    in_flight: int = 0
    retried: int = 0
    dead_lettered: int = 0
    reconnects: int = 0
    restarts: int = 0
    busy_seconds: float = 0.0
    """How long the longest event in progress has taken so far."""
    stuck_workers: int = 0
    """How many workers have been at one event for more than a minute."""
    recent_events: int = 0
    recent_failures: int = 0
    """Of the last fifty events or a little more, how many failed."""

    @property
    def handling(self) -> Handling:
        """Return how its handlers do."""
        return Handling(self.busy_seconds, self.stuck_workers, self.recent_events, self.recent_failures, self.refusal)


def print_status(*, as_json: bool) -> None:
    """Show every container of the stack, and what each function has done since its container started."""
    stack = replace(open_stack(is_lenient=True), names_images=False)
    stack.engine.check_engine()
    containers = sorted(stack.engine.containers(), key=lambda one: one.service)
    with ThreadPoolExecutor() as pool:
        asked, stored = pool.submit(fetch_figures, stack.engine, containers), pool.submit(fetch_state, stack)
        broker = _survey_broker(stack, containers)
    accounts = _fetch_accounts(stack) if _is_there(containers) and not broker.problem else []
    figures, store = asked.result(), stored.result()
    urls = find_urls(stack, containers)
    dead = _count_dead_letters(stack, broker)
    if as_json:
        times = stack.engine.image_times(one.image for one in containers)
        told = [_describe(one, figures.get(one.id), urls, stack.notes) for one in containers]
        more = _find_hints(stack, broker)
        dated = [document | _date(one, times) for document, one in zip(told, containers, strict=True)]
        documents = [document | more.get(one.function, {}) for document, one in zip(dated, containers, strict=True)]
        told = [one | _describe_messages(one, broker, dead) for one in documents]
        accounted = {"accounts": [one.as_document() for one in accounts]}
        accounted |= {"bridges": [one.as_document() for one in broker.bridges]} if broker.bridges else {}
        told = [one | accounted if one["service"] == SERVICE else one for one in told]
        console.show_json([one | _describe_store(store) if one["service"] == STORE else one for one in told])
    elif containers:
        _print_status(containers, figures, urls)
        _print_broker(broker, dead)
        _print_accounts(accounts)
        print_store(store)
        if (age := find_age(stack)) is not None:
            console.note(describe_age(age))
    elif other := find_other_engine(stack.engine):
        console.warn(other)
    else:
        console.say("Nothing runs. `invoke up` starts the stack.")
    if not as_json:
        _print_notes(stack, broker)
    if containers and not any(one.service == SERVICE for one in containers):
        console.warn(f"{SERVICE} is not there; `invoke up` starts it.")


def print_store(store: StoreState | None) -> None:
    """Tell how much the store of readings has, and how much room there is."""
    if store:
        console.note(str(store))
        for one in store.troubles:
            console.warn(f"{one.subject} {one.what} {one.advice}")


def _describe_store(store: StoreState | None) -> dict[str, Any]:
    if not store:
        return {}
    return {**asdict(store), "problems": [one.as_document() for one in store.troubles]}


def _print_notes(stack: Stack, broker: BrokerSurvey) -> None:
    """Tell what is to be known of functions besides how they are."""
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


def _print_status(containers: Sequence[Container], figures: Mapping[str, Figures], urls: Mapping[str, str]) -> None:
    rows = []
    for one in containers:
        found = figures.get(one.id)
        rows.append(
            {
                "service": one.service,
                "state": f"not ready: {found.reason}" if found and found.reason else one.condition,
                "answers at": find_address(one, urls),
                "events": str(found.events) if found else "-",
                "failures": str(found.failures) if found else "-",
                "per second": f"{found.rate:.1f}" if found else "-",
            }
        )
    console.show_table(("service", "state", "answers at", "events", "failures", "per second"), rows)
    for trouble in _find_troubles(containers, figures):
        console.warn(f"{trouble.subject}: {trouble.what} {trouble.advice}")
    for one in containers:
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


def _describe_messages(document: Mapping[str, Any], broker: BrokerSurvey, dead: Mapping[str, int]) -> dict[str, Any]:
    """Return what a service's document says of messages: the broker's troubles, a function's dead letters."""
    if document["service"] == SERVICE:
        return {"problems": [one.as_document() for one in broker.all_troubles]}
    return {"dead_letters": dead.get(document["service"], 0)} if "runtime" in document else {}


def _print_broker(broker: BrokerSurvey, dead: Mapping[str, int]) -> None:
    if broker.problem:
        console.warn(f"The broker was not asked: {broker.problem}")
    for state in broker.bridges:
        console.note(str(state))
    for one in broker.all_troubles:
        console.warn(f"{one.subject} {one.what} {one.advice}")
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


def _find_troubles(containers: Sequence[Container], figures: Mapping[str, Figures]) -> list[Trouble]:
    """Return what is wrong with the handlers of functions, all containers of each taken together."""
    sums: dict[str, Handling] = {}
    for one in containers:
        if found := figures.get(one.id):
            sums[one.function] = sums.get(one.function, Handling()) + found.handling
    return [trouble for name, handling in sums.items() for trouble in find_handling_troubles(name, handling)]


def _describe(
    container: Container, figures: Figures | None, urls: Mapping[str, str], notes: Mapping[str, str]
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
        **(asdict(figures) if figures else {}),
        **({"problems": _describe_troubles(container.function, figures)} if figures else {}),
        **({"note": notes[container.function]} if container.function in notes else {}),
    }


def _describe_runtime(container: Container) -> dict[str, str]:
    """Return what a function runs on, and what it asked for: python and wanted_python, or the same of its runtime."""
    name = container.runtime
    return {"runtime": name, name: container.version, f"wanted_{name}": container.wanted_version}


def _describe_troubles(name: str, figures: Figures) -> list[dict[str, str]]:
    return [trouble.as_document() for trouble in find_handling_troubles(name, figures.handling)]


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


# Characters of a container's id, by which Docker's network knows it too.
_SHORT_ID = 12
_OK, _TIMEOUT_SECONDS = 200, 0.5


def fetch_figures(engine: Engine, containers: Sequence[Container]) -> dict[str, Figures]:
    """Ask every function's container at once; return the figures of those that answer, by id.

    Where this machine does not reach Docker's network, one of them is made to ask the others.
    """
    running = [one for one in containers if one.function and one.is_running]
    with ThreadPoolExecutor(len(running) or 1) as pool:
        answers = zip(running, pool.map(_fetch_state, running), strict=True)
        states = {one.id: state for one, state in answers if state}
    if silent := [one for one in running if one.id not in states]:
        states |= _ask_within(engine, silent)
    return {id_: _read(state) for id_, state in states.items()}


def _fetch_state(container: Container) -> dict[str, object]:
    """Return what a container tells of itself; nothing if it cannot, or cannot be reached."""
    # Of Swarm's network this machine is no part.
    if not container.network_address or (container.task and not is_inside()):
        return {}
    try:
        answer = ask(find_container_url(container.network_address, HEALTH_PORT, "/status"), _TIMEOUT_SECONDS)
    except OSError:
        return {}
    return _parse(answer.data) if answer.status == _OK else {}


def _ask_within(engine: Engine, containers: Sequence[Container]) -> dict[str, dict[str, object]]:
    """Have one container ask all of these."""
    hosts = {one.id: one.network_address if one.task else one.id[:_SHORT_ID] for one in containers}
    asker = min(containers, key=lambda one: (bool(one.node), not one.is_ready))
    states = _parse(engine.execute(asker, "processor", "--states", *hosts.values()))
    return {id_: state for id_, host in hosts.items() if isinstance(state := states.get(host), dict)}


def _parse(text: str | bytes) -> dict[str, object]:
    """Return what a container tells; nothing where it cannot, such as one made by an older release."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _read(state: dict[str, object]) -> Figures:
    known = {field.name for field in fields(Figures)}
    return Figures(**{name: value for name, value in state.items() if name in known})  # type: ignore[arg-type]
