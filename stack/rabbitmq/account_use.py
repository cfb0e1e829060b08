"""Who uses the broker's accounts: asked of the broker, and noted for a week where the account is one of people."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from stack.docker.stack import Stack
from stack.errors import BrokerError
from stack.plan.broker import GUEST
from stack.plan.function import service_name
from stack.rabbitmq.management import Broker, find_broker
from stack.state.account_use import AccountUse, Login, load_use_log, save_use_log

# How often, in seconds, the clients are asked for though no one has logged in: RabbitMQ has to tell of each.
_PAUSE_SECONDS = 600.0
_CONNECTIONS = "/api/connections?columns=user,protocol,peer_host,client_properties.client_id,user_provided_name"
_PROTOCOLS = {"amqp091": "AMQP", "mqtt": "MQTT", "http": "HTTP"}
_OWN = "tidegate-"
# Accounts of which there are many are told of together.
_DEVICES, _FUNCTIONS = "devices", "functions"


@dataclass(frozen=True)
class AccountState:
    """An account, or all of devices or functions: how many connections there are, and who was there within a week."""

    account: str
    connections: int
    uses: tuple[AccountUse, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """Return what --json tells of it."""
        clients = [{"client": one.name, "last": round(one.last)} for one in self.uses]
        return {"account": self.account, "connections": self.connections, "clients": clients}


def note_uses(stack: Stack, broker: Broker, *, is_asked: bool = False) -> tuple[AccountUse, ...]:
    """Note who has used the accounts of people since the last look, and return who did within a week.

    Raises:
        BrokerError: the broker does not answer.
    """
    people = _name_people(stack)
    attempts = [one for node in list_nodes(broker) for one in broker.fetch_list(attempts_path(node))]
    counts = {login: count for login, count in map(_read_attempt, attempts) if login.account in people}
    before, now = load_use_log(stack.workspace), time.time()
    grown = before.has_grown(counts, _fetch_uptime(broker))
    is_due = is_asked or bool(grown) or now > before.looked + _PAUSE_SECONDS
    there = [one for one in _fetch_uses(broker) if one.login.account in people] if is_due else []
    log = before.add(grown, there, now).count(counts, now if is_due else before.looked)
    if log.differs(before):
        save_use_log(stack.workspace, log)
    return log.uses


def list_accounts(stack: Stack, broker: Broker) -> list[AccountState]:
    """Return who is connected, by account; Tidegate's own programs are left out.

    Raises:
        BrokerError: the broker does not answer.
    """
    people, uses = _name_people(stack), note_uses(stack, broker, is_asked=True)
    here = Counter(_group(one.login.account, people) for one in _fetch_uses(broker))
    own = {name: tuple(one for one in uses if one.login.account == name) for name in people}
    states = [AccountState(name, here[name], own[name]) for name in sorted(people)]
    states += [AccountState(name, here[name]) for name in (_DEVICES, _FUNCTIONS)]
    return [one for one in states if one.connections or one.uses]


def list_guests(stack: Stack) -> list[str]:
    """Return who has used the account guest within a week, as far as is known without a broker that answers.

    That is client ids, with protocol and address.
    """
    try:
        uses = note_uses(stack, find_broker(stack), is_asked=True)
    except BrokerError:
        uses = load_use_log(stack.workspace).uses
    return sorted({one.name for one in uses if one.login.account == GUEST})


def list_nodes(broker: Broker) -> list[str]:
    """Return the nodes of the broker.

    Raises:
        BrokerError: the broker does not answer.
    """
    return [str(one["name"]) for one in broker.fetch_list("/api/nodes?columns=name")]


def attempts_path(node: str) -> str:
    """Return where a node has its counts of logins, by user, address and protocol."""
    return f"/api/auth/attempts/{quote(node, safe='')}/source"


def _name_people(stack: Stack) -> frozenset[str]:
    return frozenset({GUEST, *(one.username for one in stack.accounts.people)})


def _group(account: str, people: Iterable[str]) -> str:
    if account in people:
        return account
    if account.startswith(_OWN):
        return ""
    return _FUNCTIONS if account.startswith(service_name("")) else _DEVICES


def _fetch_uptime(broker: Broker) -> float:
    """Return for how many seconds the node runs that began last; a node that has just started tells nothing yet."""
    nodes = broker.fetch_list("/api/nodes?columns=name,uptime")
    return min((float(one.get("uptime", 0)) / 1000 for one in nodes), default=0.0)


def _fetch_uses(broker: Broker) -> Iterator[AccountUse]:
    for one in broker.fetch_list(_CONNECTIONS):
        if "user" in one:
            protocol = "MQTT" if "MQTT" in (said := str(one.get("protocol", ""))) else said.partition(" ")[0]
            client = (one.get("client_properties") or {}).get("client_id") or one.get("user_provided_name") or ""
            yield AccountUse(Login(str(one["user"]), protocol, _read_address(one.get("peer_host"))), str(client))


def _read_attempt(document: dict[str, Any]) -> tuple[Login, int]:
    protocol = str(document.get("protocol") or "")
    login = Login(
        str(document.get("username") or ""),
        _PROTOCOLS.get(protocol, protocol),
        _read_address(document.get("remote_address")),
    )
    return login, int(document.get("auth_attempts_succeeded", 0))


def _read_address(text: str | None) -> str:
    return (text or "").removeprefix("::ffff:")
