"""Addresses of a broker elsewhere, in a function that was written for one: pointed at the stack's own, or told."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from stack.config.runtime import runtime_of
from stack.config.value import is_own_broker
from stack.plan.broker import BROKER_SECRET, MQTT_SECRET, SERVICE
from stack.plan.broker_mention import (
    ADDRESS,
    hide_account,
    is_address,
    is_host_name,
    list_hosts,
    name_brokers,
    name_lines,
    read_host,
)
from stack.plan.runtime.literal import Literal
from stack.plan.runtime.registry import find_runtime
from stack.plan.trigger.registry import find_kind

# By the protocol, the variable by which a source finds the broker, and the secret with the address.
_VARIABLES = {"amqp": ("BROKER_URL", BROKER_SECRET), "mqtt": ("MQTT_URL", MQTT_SECRET)}
_HOST = re.compile(r"(?P<host>[A-Za-z0-9][\w.-]*)(?P<port>:\d+)?")
# What proves that a host is a broker's. Right before it: the call that takes it first, or the key of an option.
_FIRST = re.compile(r"\bConnectionParameters\(\s*\Z")
_CONNECT = re.compile(r"\bconnect(_async)?\(\s*\Z")
_NAME = re.compile(r"([\w.]+)['\"]?\s*[:=]\s*\Z")
_OPTION = re.compile(r"\bhost(name)?['\"]?\s*[:=]\s*\Z")
# Behind it, the port; and elsewhere within the same brackets, the port, the protocol, or the call itself.
_PORT = re.compile(r"\s*,\s*(port\s*=\s*)?(5671|5672|1883|8883)\b")
_PROOF = re.compile(
    r"\bport['\"]?\s*[:=]\s*(5671|5672|1883|8883)\b|\bprotocol['\"]?\s*[:=]\s*['\"](amqp|mqtt)s?['\"]"
    r"|\b(amqp|amqplib|mqtt)\.connect(Async)?\(|\bConnectionParameters\("
)
# Characters that are looked at on each side of a host, and right before it.
_AROUND, _BESIDE = 500, 50


@dataclass(frozen=True)
class _Change:
    """What takes the place of a literal, and the variable that it needs, if any."""

    literal: Literal
    after: str
    note: str
    variable: str = ""


def review_brokers(spec: dict[str, Any], texts: dict[str, str], *, to_broker: bool) -> Iterator[str]:
    """Yield where a function names a broker elsewhere: in triggers, in its environment, in its files.

    With `to_broker` the spec and the texts of its files name the stack's own instead, wherever that is certain.
    """
    hosts = set(list_hosts(spec, texts))
    if to_broker:
        yield from _point_triggers(spec)
        yield from _point_variables(spec, hosts)
        yield from _point_sources(spec, texts)
    yield from name_brokers(spec, hosts)
    for path, text in texts.items():
        rewritable = set() if to_broker else {one.literal.line for one in _list_changes(spec, path, text=text)}
        yield from name_lines(path, text, hosts=hosts, rewritable=rewritable)


def _point_triggers(spec: dict[str, Any]) -> Iterator[str]:
    for name, trigger in spec.get("triggers", {}).items():
        before, url = trigger.get("url", ""), find_kind(trigger).stack_url
        if url and not is_own_broker(before):
            trigger["url"] = url
            dropped = [key for key in ("username", "password") if trigger.pop(key, None)]
            without = f", without {' and '.join(dropped)}" if dropped else ""
            yield f"spec.triggers.{name}.url: {hide_account(before)} is now {url}{without}"


def _point_variables(spec: dict[str, Any], hosts: Collection[str]) -> Iterator[str]:
    for number, variable in enumerate(spec.get("env", [])):
        before = variable.get("value", "")
        if (match := ADDRESS.fullmatch(before)) and read_host(before) and not is_own_broker(before):
            del variable["value"]
            _, (name, key) = _VARIABLES[match[1]]
            variable["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
            yield f"spec.env.{number}: {variable['name']}, {hide_account(before)}, is now the secret {name}.{key}"
        elif is_host_name(variable["name"]) and (before in hosts or is_address(before)):
            variable["value"] = SERVICE
            yield f"spec.env.{number}: {variable['name']}, {before}, is now {SERVICE}"


def _point_sources(spec: dict[str, Any], texts: dict[str, str]) -> Iterator[str]:
    used = set[str]()
    for path, before in texts.items():
        changes = _list_changes(spec, path, text=before)
        texts[path], shift = _apply(path, before, changes=changes)
        used |= {one.variable for one in changes}
        yield from (f"{path}, line {one.literal.line + shift}: {one.note}" for one in changes)
    there = {variable["name"] for variable in spec.get("env", [])}
    for variable, (name, key) in _VARIABLES.values():
        if variable in used - there:
            reference = {"secretKeyRef": {"name": name, "key": key}}
            spec.setdefault("env", []).append({"name": variable, "valueFrom": reference})
            yield f"spec.env: {variable} is the secret {name}.{key}"


def _apply(path: str, text: str, *, changes: list[_Change]) -> tuple[str, int]:
    """Return the changed source, and by how many lines what is changed has moved down."""
    parts, end = list[str](), 0
    for one in changes:
        parts += [text[end : one.literal.start], one.after]
        end = one.literal.end
    changed = "".join([*parts, text[end:]])
    if not any(one.variable for one in changes):
        return changed, 0
    whole = find_runtime(runtime_of(path)).import_environment(changed)
    return whole, whole.count("\n") - changed.count("\n")


def _list_changes(spec: dict[str, Any], path: str, *, text: str) -> list[_Change]:
    """Return what of a source names a broker elsewhere for certain, in the order of the text."""
    if not (name := runtime_of(path)):
        return []
    runtime, free = find_runtime(name), _list_free(spec)
    changes = (
        _rewrite_url(one, free, environment=runtime.environment) or _rewrite_host(text, one)
        for one in runtime.find_literals(text)
    )
    found = [one for one in changes if one]
    if any(one.variable for one in found) and not runtime.import_environment(text):
        return [one for one in found if not one.variable]
    return found


def _list_free(spec: dict[str, Any]) -> set[str]:
    """Return the variables of `_VARIABLES` that stand for nothing else in a function."""
    given = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef") for one in spec.get("env", [])}
    pairs = ((variable, secret._asdict()) for variable, secret in _VARIABLES.values())
    return {variable for variable, secret in pairs if given.get(variable, secret) == secret}


def _rewrite_url(literal: Literal, free: Collection[str], *, environment: str) -> _Change | None:
    """Return what takes the place of a whole address; what is put together, or filled in, stays."""
    match = ADDRESS.fullmatch(literal.text)
    if not match or not read_host(match[0]) or is_own_broker(match[0]) or re.search(r"[{}$%]", match[0]):
        return None
    variable, _ = _VARIABLES[match[1]]
    after = environment.format(variable)
    note = f"{hide_account(match[0])} is now {after}"
    return _Change(literal, after, note, variable) if literal.is_whole and variable in free else None


def _rewrite_host(text: str, literal: Literal) -> _Change | None:
    """Return what takes the place of a literal that is a broker's host, with the port that it may have."""
    match = _HOST.fullmatch(literal.text)
    if not match or not literal.is_whole or is_own_broker(match["host"]):
        return None
    if not _is_of_broker(text, literal, host=match["host"]):
        return None
    host, quote = f"{SERVICE}{match['port'] or ''}", text[literal.start]
    return _Change(literal, f"{quote}{host}{quote}", f"the host {literal.text} is now {host}")


def _is_of_broker(text: str, literal: Literal, *, host: str) -> bool:
    before = text[max(0, literal.start - _AROUND) : literal.start]
    after = text[literal.end : literal.end + _AROUND]
    beside = before[-_BESIDE:]
    if _FIRST.search(beside) or (_CONNECT.search(beside) and _PORT.match(after)):
        return True
    if (named := _NAME.search(beside)) and is_host_name(named[1]):
        return "." in host or host == "localhost"
    return bool(_OPTION.search(beside) and _PROOF.search(_find_call(before, after)))


def _find_call(before: str, after: str) -> str:
    """Return what is within the brackets around a place, and the line before them."""
    start = _find_bracket(before[::-1], opening=")]}", closing="([{")
    end = _find_bracket(after, opening="([{", closing=")]}")
    begin = len(before) if start < 0 else len(before) - start
    return before[before.rfind("\n", 0, begin) + 1 :] + after[: max(end, 0)]


def _find_bracket(text: str, *, opening: str, closing: str) -> int:
    depth = 0
    for place, character in enumerate(text):
        depth += (character in opening) - (character in closing)
        if depth < 0:
            return place
    return -1
