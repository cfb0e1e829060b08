"""The form of a function's triggers: what it shows, what it writes, and what it leaves as it was."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from stack.config.trigger.registry import MODELS
from stack.config.yaml_loader import parse_mapping
from stack.dashboard.form.field import Kind, list_fields, say_key
from stack.dashboard.form.trigger import (
    Card,
    Cell,
    add_trigger,
    apply_form,
    check_text,
    lay_out,
    list_triggers,
    remove_trigger,
    toggle_trigger,
)

_TEXT = """\
metadata: {name: thermo}
spec:
  # What makes it run.
  triggers:
    sensors:
      kind: rabbit-mq
      # Two at once.
      numworkers: 2
      attributes:
        exchangeName: iot/readings
        topics: [temperature, "humidity.#"]
        durableQueue: true
    devices:
      kind: mqtt
      attributes:
        subscriptions:
          - {topic: a/+, qos: 1}
  # How it is built.
  build: {}
"""
_EXAMPLES = sorted(Path(__file__).parents[3].glob("functions/*/function.yaml"))


def fill_in(text: str, changes: Mapping[str, str | None] | None = None) -> dict[str, list[str]]:
    """Return what a browser sends of the form of a text; a change of None takes a tick away."""
    sent: dict[str, list[str]] = {}
    for card in lay_out(text):
        sent[f"t.{card.number}.name"] = [card.key]
        for cell in card.cells:
            sent |= _send(cell)
    for name, value in (changes or {}).items():
        if value is None:
            sent.pop(name, None)
        else:
            sent[name] = [value]
    return sent


def _send(cell: Cell) -> dict[str, list[str]]:
    if cell.field.kind is Kind.FLAG:
        return {cell.name: ["on"]} if cell.value else {}
    if cell.field.kind is Kind.TABLE:
        rows = [*cell.value, {column.key: "" for column in cell.field.columns}]
        pairs = (
            (f"{cell.name}.{number}.{key}", value) for number, row in enumerate(rows) for key, value in row.items()
        )
        return {name: [value] for name, value in pairs}
    return {cell.name: [cell.value.replace("\n", "\r\n")]}


def write(text: str, changes: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the triggers after a form with some changes was sent."""
    result = apply_form(text, fill_in(text, changes))
    assert not result.problems
    return list_triggers(result.text)


def find_errors(text: str, changes: Mapping[str, str | None]) -> dict[str, str]:
    sent = fill_in(text, changes)
    result = apply_form(text, sent)
    cards = lay_out(result.text, (*result.problems, *check_text(result.text)), sent)
    beside = {cell.name: cell.error for card in cards for cell in card.cells if cell.error}
    return beside | {f"t.{card.number}": _join(card) for card in cards if _join(card)}


def _join(card: Card) -> str:
    return "; ".join(filter(None, (card.name_error, *card.errors)))


def test_every_key_of_every_kind_has_a_field() -> None:
    for kind, model in MODELS.items():
        paths = {field.path for field in list_fields(model)}
        attributes = model.model_fields["attributes"].annotation
        assert attributes is not None
        wanted = {str(field.alias or name) for name, field in attributes.model_fields.items()}
        assert wanted == {path[1] for path in paths if path[0] == "attributes"}, kind


def test_every_field_that_has_an_effect_says_what_it_is_for() -> None:
    known = {"username", "password", "name", "kind", "body", "headers", "path", "method"}
    fields = chain.from_iterable(list_fields(model) for model in MODELS.values())
    mute = {field.key for field in fields if not (field.hint or field.is_inert) and "cors" not in field.path}
    assert mute <= known


@pytest.mark.parametrize("text", [_TEXT, *(path.read_text() for path in _EXAMPLES)])
def test_a_form_that_is_sent_as_it_came_changes_nothing(text: str) -> None:
    assert apply_form(text, fill_in(text)).text == text


def test_only_what_was_changed_is_written_and_comments_stay() -> None:
    sent = fill_in(_TEXT, {"t.0.numWorkers": "3", "t.0.attributes.topics": "temperature\r\nhumidity.#\r\n\r\npressure"})
    changed = apply_form(_TEXT, sent).text
    assert list_triggers(changed)["sensors"]["attributes"]["topics"] == ["temperature", "humidity.#", "pressure"]
    assert "      # Two at once.\n      numworkers: 3\n" in changed
    assert changed.endswith("  # How it is built.\n  build: {}\n")
    assert changed.startswith(_TEXT.partition("    sensors:")[0])


@pytest.mark.parametrize(
    ("changes", "path", "value"),
    [
        ({"t.0.attributes.maxRetries": "0"}, ("sensors", "attributes", "maxRetries"), 0),
        ({"t.0.attributes.durableExchange": "on"}, ("sensors", "attributes", "durableExchange"), True),
        ({"t.0.attributes.durableQueue": None}, ("sensors", "attributes", "durableQueue"), False),
        ({"t.0.attributes.requeueOnError": "false"}, ("sensors", "attributes", "requeueOnError"), False),
        ({"t.0.attributes.onError": "nack"}, ("sensors", "attributes", "onError"), "nack"),
        ({"t.0.annotations": "a: b"}, ("sensors", "annotations"), {"a": "b"}),
        ({"t.0.batch.mode": "enable"}, ("sensors", "batch"), {"mode": "enable"}),
        ({"t.1.attributes.protocolVersion": "5"}, ("devices", "attributes", "protocolVersion"), 5),
        (
            {"t.1.attributes.subscriptions.1.topic": "b/#"},
            ("devices", "attributes", "subscriptions"),
            [{"topic": "a/+", "qos": 1}, {"topic": "b/#"}],
        ),
        ({"t.1.attributes.subscriptions.0.topic": ""}, ("devices", "attributes", "subscriptions"), []),
        ({"t.0.name": "queue"}, ("queue", "kind"), "rabbit-mq"),
    ],
)
def test_values_are_written_as_what_they_are(changes: dict[str, str | None], path: tuple[str, ...], value: Any) -> None:
    found: Any = write(_TEXT, changes)
    for key in path:
        found = found[key]
    assert (found, type(found)) == (value, type(value))


def test_a_value_that_becomes_the_default_goes() -> None:
    assert "numworkers" not in write(_TEXT, {"t.0.numWorkers": "1"})["sensors"]


@pytest.mark.parametrize(
    ("changes", "name", "error"),
    [
        ({"t.0.numWorkers": "many"}, "t.0.numWorkers", "should be a whole number, not 'many'"),
        (
            {"t.0.attributes.exchangeName": ""},
            "t.0.attributes.exchangeName",
            "topics need an exchangeName to be bound to",
        ),
        (
            {"t.1.attributes.subscriptions.1.topic": "a/#/b"},
            "t.1.attributes.subscriptions",
            "row 2, topic: # should stand alone at the end, as in a/#, not 'a/#/b'",
        ),
        ({"t.0.annotations": "a: ["}, "t.0.annotations", "is no YAML: "),
        ({"t.0.name": "devices"}, "t.0", "there is another trigger 'devices'"),
        ({"t.0.name": " "}, "t.0", "a trigger needs a name"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(changes: dict[str, str | None], name: str, error: str) -> None:
    errors = find_errors(_TEXT, changes)
    assert list(errors) == [name]
    assert errors[name].startswith(error)


def test_what_was_typed_is_shown_where_it_is_wrong() -> None:
    sent = fill_in(_TEXT, {"t.0.annotations": "a: ["})
    result = apply_form(_TEXT, sent)
    cells = {cell.name: cell.value for card in lay_out(result.text, result.problems, sent) for cell in card.cells}
    assert cells["t.0.annotations"] == "a: ["


def test_triggers_come_and_go_and_rest() -> None:
    text = toggle_trigger(add_trigger(add_trigger(_TEXT, "cron"), "cron"), "sensors")
    assert list(list_triggers(text)) == ["sensors", "devices", "cron", "cron-2"]
    assert [card.is_disabled for card in lay_out(text)] == [True, False, False, False]
    for key in ("cron", "cron-2"):
        text = remove_trigger(text, key)
    assert toggle_trigger(text, "sensors") == _TEXT


def test_a_function_without_triggers_gets_its_first() -> None:
    text = add_trigger("metadata: {name: a}  # mine\n", "http")
    assert text.startswith("metadata: {name: a}  # mine\n")
    assert parse_mapping(text, "")["spec"] == {"triggers": {"http": {"kind": "http"}}}
    assert remove_trigger(text, "http").startswith("metadata: {name: a}  # mine\n")


def test_a_kind_without_form_is_named_and_left_alone() -> None:
    text = "spec: {triggers: {k: {kind: kafka-cluster, attributes: {topics: [a]}}, x: 1}}\n"
    cards = lay_out(text, check_text(text))
    assert [(card.kind, card.groups) for card in cards] == [("kafka-cluster", ()), ("", ())]
    assert "kafka-cluster" in cards[0].errors[0]
    assert apply_form(text, fill_in(text)).text == text


def test_keys_become_words() -> None:
    words = ("numWorkers", "clientID", "url", "total_tasks", "caCert")
    assert [say_key(word) for word in words] == ["Number of workers", "Client ID", "URL", "Total tasks", "CA cert"]
