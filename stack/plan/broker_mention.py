"""Where a function names a broker elsewhere: which hosts, and what is told of each place."""

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from stack.config.value import is_own_broker
from stack.plan.trigger.registry import find_kind

ADDRESS = re.compile(r"(amqp|mqtt)s?://[^\s'\"`]+")
TO_BROKER = "--broker points it at this stack's own"
_CHANGE = "change it if it is another one here"
_ACCOUNT = re.compile(r"//[^\s'\"`]*@")
# What a variable is called that holds a broker's host.
_NAME = (
    r"(?i:\w*(?:amqp|broker|mqtt|rabbit(?:mq)?)_?(?:host(?:name)?|server|addr(?:ess)?|ip)"
    r"|(?:\w*(?:amqp|mqtt|rabbit(?:mq)?)_?)?broker)"
)
_HOST_NAME = re.compile(_NAME)
# Files that may speak to a broker at all; in these, addresses of other schemes, hosts by such a name, IPs in quotes.
_SPEAKS = re.compile(r"(?i)amqp|mqtt|pika|rabbit")
_OTHER = (
    r"(?:tcp|ssl|tls|wss?)://[^\s'\"`]+"
    rf"|\b{_NAME}['\"]?\s*[:=]\s*['\"`][\w-]+(?:\.[\w-]+)+(?::\d+)?['\"`]"
    r"|['\"`](?:\d{1,3}\.){3}\d{1,3}(?::\d+)?['\"`]"
)
_LOOPBACK = ("localhost", "127.", "0.0.0.0")


def read_host(url: str) -> str:
    """Return the host of an address, with or without a scheme; nothing of what is none."""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


def is_address(host: str) -> bool:
    """Return whether a text is an IP, or means this machine."""
    try:
        return bool(ip_address(host))
    except ValueError:
        return host == "localhost"


def is_host_name(name: str) -> bool:
    """Return whether a variable of that name holds a broker's host."""
    return _HOST_NAME.fullmatch(name.rpartition(".")[2]) is not None


def hide_account(url: str) -> str:
    """Return an address without its account."""
    return _ACCOUNT.sub("//…@", url)


def list_hosts(spec: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the hosts of brokers elsewhere; one that means the machine itself may as well be another service's."""
    triggers = spec.get("triggers", {}).values()
    urls = [str(trigger.get("url", "")) for trigger in triggers if find_kind(trigger).has_broker]
    for text in (*(variable.get("value", "") for variable in spec.get("env", [])), *texts.values()):
        urls += [match[0] for match in ADDRESS.finditer(text)]
    for url in urls:
        host = read_host(url)
        if host and not is_own_broker(url) and not host.startswith(("localhost", "127.")) and host[0].isalnum():
            yield host


def name_brokers(spec: Mapping[str, Any], hosts: Collection[str]) -> Iterator[str]:
    """Yield the triggers and the variables that name a broker elsewhere."""
    for name, trigger in spec.get("triggers", {}).items():
        url = trigger.get("url", "")
        if find_kind(trigger).has_broker and not is_own_broker(url):
            yield f"spec.triggers.{name}.url: names the broker {hide_account(url)}; {TO_BROKER}"
    for number, variable in enumerate(spec.get("env", [])):
        value, where = variable.get("value", ""), f"spec.env.{number}: {variable['name']} names the broker"
        if (match := ADDRESS.match(value)) and not is_own_broker(match[0]):
            advice = TO_BROKER if match[0] == value and read_host(value) else _CHANGE
            yield f"{where} {hide_account(match[0])}; {advice}"
        elif value in hosts or (is_host_name(variable["name"]) and value and not is_own_broker(value)):
            is_certain = is_host_name(variable["name"]) and (value in hosts or is_address(value))
            yield f"{where} {value}; {TO_BROKER if is_certain else _CHANGE}"


def name_lines(path: str, text: str, *, hosts: Collection[str], rewritable: Collection[int]) -> Iterator[str]:
    """Yield the lines that name a broker; `rewritable` are those that `--broker` changes."""
    known = [rf"(?<![\w.-]){re.escape(one)}(?![\w.-])" for one in hosts]
    words = re.compile("|".join([ADDRESS.pattern, *([_OTHER] if _SPEAKS.search(text) else []), *known]))
    for number, line in enumerate(text.split("\n"), start=1):
        found = [value for match in words.finditer(line) if not _is_own(value := _find_value(match[0]))]
        if found or number in rewritable:
            what = f"names the broker {hide_account(found[0])}" if found else "names a broker's host"
            yield f"{path}, line {number}: {what}; {TO_BROKER if number in rewritable else _CHANGE}"


def _find_value(mention: str) -> str:
    """Return what is in quotes of `NAME = 'HOST'`, and all of an address."""
    return mention.strip("'\"`").rpartition("'")[2].rpartition('"')[2].rpartition("`")[2]


def _is_own(value: str) -> bool:
    """Return whether that is the stack's own broker, or no broker: what a container listens at, or means itself by."""
    is_other = not ADDRESS.fullmatch(value)
    return is_own_broker(value) or (is_other and read_host(value).startswith(_LOOPBACK))
