"""Addresses of a broker elsewhere, in a function that was written for one: pointed at the stack's own, or told."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from stack.config.runtime import runtime_of
from stack.config.value import is_own_broker
from stack.plan.broker import BROKER_SECRET, MQTT_SECRET, SERVICE
from stack.plan.runtime.registry import find_runtime
from stack.plan.trigger.registry import find_kind

# By the protocol, the variable by which a source finds the broker, and the secret with the address.
_VARIABLES = {"amqp": ("BROKER_URL", BROKER_SECRET), "mqtt": ("MQTT_URL", MQTT_SECRET)}
_ADDRESS = re.compile(r"(amqp|mqtt)s?://[^\s'\"`]+")
_ACCOUNT = re.compile(r"//[^@/\s]+@")
_LITERAL = re.compile(r"(?P<quote>['\"`])(?P<text>[^\s'\"`]+)(?P=quote)")
# What stands beside a literal that is only a part of a text, in Python and JavaScript alike.
_JOINED = tuple("+%.'\"`")
_HOST = re.compile(r"(?P<host>[A-Za-z0-9][\w.-]*)(?P<port>:\d+)?")
# What stands before a host: the key of an option, or a name that says what it is; and behind it, a broker's port.
_OPTION = re.compile(r"\bhost(name)?['\"]?\s*[:=]\s*\Z")
_NAME = re.compile(r"(?i)((amqp|broker|mqtt|rabbit)\w*['\"]?\s*[:=]|ConnectionParameters\()\s*\Z")
_PORT = re.compile(r"\s*,\s*(5671|5672|1883|8883)\b")
_OF_BROKER = re.compile(r"(?i)\b(5671|5672|1883|8883)\b|amqp|mqtt|pika|rabbit|ConnectionParameters")
_CHANGE = "change it if it is another one here"
_OPTION_OF_TASK = "--broker points it at this stack's own"


@dataclass(frozen=True)
class _Change:
    """What stands in a line of a source now, and the variable that its environment needs for it."""

    line: int
    note: str
    variable: str = ""


def review_brokers(spec: dict[str, Any], texts: dict[str, str], *, to_broker: bool) -> Iterator[str]:
    """Yield where a function names a broker elsewhere: in triggers, in its environment, in its files.

    With `to_broker` the spec and the texts of its files name the stack's own instead, wherever that is certain.
    """
    hosts = set(_find_hosts(spec, texts))
    if to_broker:
        yield from _point_triggers(spec)
        yield from _point_variables(spec)
        yield from _point_sources(spec, texts, hosts)
    yield from _name_brokers(spec)
    for path, text in texts.items():
        able = set() if to_broker else {one.line for one in _rewrite(path, text, hosts, _list_free(spec))[1]}
        yield from _name_lines(path, text, hosts, able)


def _find_hosts(spec: dict[str, Any], texts: dict[str, str]) -> Iterator[str]:
    """Yield the hosts of brokers elsewhere; one that means the machine itself may as well be another service's."""
    urls = [trigger.get("url", "") for trigger in spec.get("triggers", {}).values() if find_kind(trigger).has_broker]
    urls += [variable.get("value", "") for variable in spec.get("env", [])]
    for text in (*urls, *texts.values()):
        for match in _ADDRESS.finditer(text):
            host = _read_host(match[0])
            if host and not is_own_broker(match[0]) and not host.startswith(("localhost", "127.", "{", "$")):
                yield host


def _read_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _point_triggers(spec: dict[str, Any]) -> Iterator[str]:
    for name, trigger in spec.get("triggers", {}).items():
        before, url = trigger.get("url", ""), find_kind(trigger).stack_url
        if url and not is_own_broker(before):
            trigger["url"] = url
            dropped = [key for key in ("username", "password") if trigger.pop(key, None)]
            without = f", without {' and '.join(dropped)}" if dropped else ""
            yield f"spec.triggers.{name}.url: {_hide(before)} is now {url}{without}"


def _point_variables(spec: dict[str, Any]) -> Iterator[str]:
    for number, variable in enumerate(spec.get("env", [])):
        before = variable.get("value", "")
        if (match := _ADDRESS.fullmatch(before)) and not is_own_broker(before):
            del variable["value"]
            _, (name, key) = _VARIABLES[match[1]]
            variable["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
            yield f"spec.env.{number}: {variable['name']}, {_hide(before)}, is now the secret {name}.{key}"


def _point_sources(spec: dict[str, Any], texts: dict[str, str], hosts: Collection[str]) -> Iterator[str]:
    used = set[str]()
    for path, before in texts.items():
        text, changes = _rewrite(path, before, hosts, _list_free(spec))
        variables = {one.variable for one in changes if one.variable}
        texts[path] = find_runtime(runtime_of(path)).import_environment(text) if variables else text
        lines_before = texts[path].count("\n") - text.count("\n")
        used |= variables
        yield from (f"{path}, line {one.line + lines_before}: {one.note}" for one in changes)
    there = {variable["name"] for variable in spec.get("env", [])}
    for variable, (name, key) in _VARIABLES.values():
        if variable in used - there:
            reference = {"secretKeyRef": {"name": name, "key": key}}
            spec.setdefault("env", []).append({"name": variable, "valueFrom": reference})
            yield f"spec.env: {variable} is the secret {name}.{key}"


def _list_free(spec: dict[str, Any]) -> set[str]:
    """Return the variables of `_VARIABLES` that stand for nothing else in a function."""
    given = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef") for one in spec.get("env", [])}
    return {
        variable
        for variable, secret in _VARIABLES.values()
        if given.get(variable, secret._asdict()) == secret._asdict()
    }


def _rewrite(path: str, text: str, hosts: Collection[str], free: Collection[str]) -> tuple[str, list[_Change]]:
    """Return a source with other addresses, and what has changed; its lines stay where they are."""
    changes, parts, end = list[_Change](), list[str](), 0
    for match in _LITERAL.finditer(text) if runtime_of(path) else ():
        line = text.count("\n", 0, match.start()) + 1
        if variable := _rewrite_url(text, match, free):
            after = find_runtime(runtime_of(path)).environment.format(variable)
            changes.append(_Change(line, f"{_hide(match['text'])} is now {after}", variable))
        elif host := _rewrite_host(text, match, hosts):
            after = f"{match['quote']}{host}{match['quote']}"
            changes.append(_Change(line, f"the host {match['text']} is now {host}"))
        else:
            continue
        parts += [text[end : match.start()], after]
        end = match.end()
    return "".join([*parts, text[end:]]), changes


def _rewrite_url(text: str, literal: re.Match[str], free: Collection[str]) -> str:
    """Return the variable that a literal can give way to: a whole address, and nothing that is put together."""
    match = _ADDRESS.fullmatch(literal["text"])
    if not match or not _read_host(match[0]) or is_own_broker(match[0]) or re.search(r"[{}$%]", match[0]):
        return ""
    before, after = text[: literal.start()], text[literal.end() :].lstrip()
    is_prefixed = before[-1:].isalnum() or before[-1:] == "_"
    if is_prefixed or before.rstrip().endswith(_JOINED) or after.startswith(_JOINED):
        return ""
    variable, _ = _VARIABLES[match[1]]
    return variable if variable in free else ""


def _rewrite_host(text: str, literal: re.Match[str], hosts: Collection[str]) -> str:
    """Return what takes the place of a literal that is a broker's host, with the port that it may have."""
    match = _HOST.fullmatch(literal["text"])
    if not match or is_own_broker(match["host"]):
        return ""
    before = text[max(0, literal.start() - 100) : literal.start()]
    is_option = _OPTION.search(before) and _OF_BROKER.search(_find_call(text, literal.start()))
    is_named = _NAME.search(before) and (match["host"] in hosts or _is_address(match["host"]))
    is_ours = is_option or is_named or _PORT.match(text, literal.end())
    return f"{SERVICE}{match['port'] or ''}" if is_ours else ""


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return host == "localhost"


def _find_call(text: str, at: int) -> str:
    """Return what is in brackets around a place, and the line before them; all of its line where there are none."""
    start = _find_bracket(text[:at][::-1], opening=")]}", closing="([{")
    end = _find_bracket(text[at:], opening="([{", closing=")]}")
    begin = at if start < 0 else at - start
    return text[text.rfind("\n", 0, begin) + 1 : at + max(end, 0)]


def _find_bracket(text: str, *, opening: str, closing: str) -> int:
    depth = 0
    for place, character in enumerate(text):
        depth += (character in opening) - (character in closing)
        if depth < 0:
            return place
    return -1


def _name_brokers(spec: dict[str, Any]) -> Iterator[str]:
    for name, trigger in spec.get("triggers", {}).items():
        url = trigger.get("url", "")
        if find_kind(trigger).has_broker and not is_own_broker(url):
            yield f"spec.triggers.{name}.url: names the broker {_hide(url)}; {_OPTION_OF_TASK}"
    for number, variable in enumerate(spec.get("env", [])):
        if (match := _ADDRESS.match(variable.get("value", ""))) and not is_own_broker(match[0]):
            advice = _OPTION_OF_TASK if match[0] == variable["value"] else _CHANGE
            yield f"spec.env.{number}: {variable['name']} names the broker {_hide(match[0])}; {advice}"


def _name_lines(path: str, text: str, hosts: Collection[str], able: Collection[int]) -> Iterator[str]:
    """Yield the lines that name a broker; `able` are those that `--broker` changes."""
    words = re.compile("|".join([_ADDRESS.pattern, *(rf"(?<![\w.-]){re.escape(one)}(?![\w.-])" for one in hosts)]))
    for number, line in enumerate(text.splitlines(), start=1):
        found = [match[0] for match in words.finditer(line) if not is_own_broker(match[0])]
        if found or number in able:
            what = f"names the broker {_hide(found[0])}" if found else "names a broker's host"
            yield f"{path}, line {number}: {what}; {_OPTION_OF_TASK if number in able else _CHANGE}"


def _hide(url: str) -> str:
    """Return an address without its account."""
    return _ACCOUNT.sub("//…@", url)
