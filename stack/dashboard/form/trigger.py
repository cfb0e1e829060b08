"""The triggers of a function.yaml as a form, and back: the text stays the one document, comments and all."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from stack.config.function import FunctionConfig
from stack.config.problem import Problem, find_problems
from stack.config.source import FILE
from stack.config.trigger.registry import MODELS
from stack.config.trigger.registry import kind_of as find_kind
from stack.config.yaml_edit import remove_value, rename_key, set_value
from stack.config.yaml_loader import parse_mapping
from stack.dashboard.form.field import (
    Field,
    Kind,
    Sent,
    WrongValueError,
    find_change,
    get_field,
    list_fields,
    say_key,
    show_value,
)
from stack.plan.trigger.registry import KINDS

ROOT = ("spec", "triggers")
# What a form says in other ways than by a field.
_OWN = frozenset({("name",), ("kind",), ("disabled",)})
_BROKER = frozenset({"url", "username", "password", "secret"})
_TLS = frozenset({"caCert", "clientCertificate", "clientKey"})
_MAIN, _MORE = "", "More"
# The order of the groups; those that a model itself has come between.
_FIRST, _LAST = (_MAIN,), ("Broker", "TLS", _MORE)


@dataclass(frozen=True)
class Cell:
    """A field of one trigger, as it is shown; `name` is the input's."""

    field: Field
    name: str
    value: Any
    error: str

    @property
    def id(self) -> str:
        """Return the input's id."""
        return self.name.replace(".", "-")


@dataclass(frozen=True)
class Group:
    """Fields that belong together; a group without title is always seen."""

    title: str
    cells: tuple[Cell, ...]
    is_open: bool


@dataclass(frozen=True)
class Card:
    """One trigger; one of a kind that has no form has no groups."""

    number: int
    key: str
    kind: str
    is_disabled: bool
    groups: tuple[Group, ...]
    errors: tuple[str, ...]
    name_error: str = ""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Return the fields of all groups."""
        return tuple(cell for group in self.groups for cell in group.cells)


@dataclass(frozen=True)
class Result:
    """A text with what a form says in it, and what could not be put there."""

    text: str
    problems: tuple[Problem, ...] = ()


def check_text(text: str) -> tuple[Problem, ...]:
    """Return everything that is wrong with a function.yaml.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    return tuple(find_problems(FunctionConfig, parse_mapping(text, FILE)))


def lay_out(text: str, problems: Sequence[Problem] = (), typed: Sent | None = None) -> tuple[Card, ...]:
    """Return the triggers of a function.yaml as they are shown, each problem beside its field.

    Where a field is wrong, what was typed there is shown: it may be nothing that the text can hold.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    return tuple(
        _lay_out(number, str(key), content=content, findings=_Findings(_choose(problems, str(key)), typed or {}))
        for number, (key, content) in enumerate(list_triggers(text).items())
    )


def find_rest(cards: Sequence[Card], problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are beside no trigger."""
    keys = {card.key for card in cards}
    return tuple(one for one in problems if not (one.path[:2] == ROOT and len(one.path) > 2 and one.path[2] in keys))


def list_triggers(text: str) -> dict[str, Any]:
    """Return the triggers of a function.yaml as they stand there.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    found, _ = get_field(parse_mapping(text, FILE), ROOT)
    return found if isinstance(found, dict) else {}


def apply_form(text: str, sent: Sent) -> Result:
    """Write what a form says into the text that it was made of.

    Raises:
        ConfigError: the text is no YAML that holds a mapping.
    """
    problems: list[Problem] = []
    for number, (key, content) in enumerate(list_triggers(text).items()):
        fields = list_fields(MODELS[kind]) if (kind := find_kind(content)) in MODELS else ()
        for field in (one for one in fields if _is_shown(one, content)):
            try:
                text = _change(text, (*ROOT, key), field=field, content=content, prefix=f"t.{number}", sent=sent)
            except WrongValueError as error:
                problems.append(Problem((*ROOT, key, *field.path), str(error)))
    return _rename(text, sent, problems=problems)


def add_trigger(text: str, kind: str) -> str:
    """Return a text with one more trigger, which is called by its kind.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    known = list_triggers(text)
    names = (kind, *(f"{kind}-{number}" for number in range(2, len(known) + 3)))
    return set_value(text, (*ROOT, next(name for name in names if name not in known)), {"kind": kind})


def remove_trigger(text: str, key: str) -> str:
    """Return a text without a trigger."""
    return remove_value(text, (*ROOT, key))


def toggle_trigger(text: str, key: str) -> str:
    """Return a text in which a trigger is disabled, or no longer."""
    is_disabled = get_field(list_triggers(text).get(key), ("disabled",))[0] is True
    path = (*ROOT, key, "disabled")
    return remove_value(text, path) if is_disabled else set_value(text, path, True)


def _change(text: str, root: tuple[str, ...], *, field: Field, content: Any, prefix: str, sent: Sent) -> str:
    change = find_change(field, content, name=".".join((prefix, *field.path)), sent=sent)
    if change is None:
        return text
    path = (*root, *change.path)
    return remove_value(text, path) if change.is_removal else set_value(text, path, change.value)


def _rename(text: str, sent: Sent, *, problems: list[Problem]) -> Result:
    keys = list(list_triggers(text))
    for number, key in enumerate(keys):
        name = next(iter(sent.get(f"t.{number}.name", (key,)))).strip()
        if name == key:
            continue
        if not name or name in list_triggers(text):
            reason = f"there is another trigger {name!r}" if name else "a trigger needs a name"
            problems.append(Problem((*ROOT, key, "name"), reason))
            continue
        text = rename_key(text, (*ROOT, key), name=name)
        if get_field(list_triggers(text)[name], ("name",))[1]:
            text = set_value(text, (*ROOT, name, "name"), name)
        problems = [_readdress(one, key, name=name) for one in problems]
    return Result(text, tuple(problems))


def _readdress(problem: Problem, key: str, *, name: str) -> Problem:
    if problem.path[:3] != (*ROOT, key):
        return problem
    return Problem((*ROOT, name, *problem.path[3:]), problem.text)


@dataclass(frozen=True)
class _Findings:
    """What is wrong with one trigger, and what was typed."""

    problems: Sequence[Problem]
    typed: Sent


def _choose(problems: Sequence[Problem], key: str) -> Sequence[Problem]:
    return [one for one in problems if one.path[:3] == (*ROOT, key)]


def _lay_out(number: int, key: str, *, content: Any, findings: _Findings) -> Card:
    kind = find_kind(content)
    fields = [one for one in list_fields(MODELS[kind]) if _is_shown(one, content)] if kind in MODELS else []
    cells = [_show(one, f"t.{number}", content=content, findings=findings) for one in fields]
    beside = {one for one in findings.problems if any(_concerns(one, cell.field, shown=cell.value) for cell in cells)}
    names = [one for one in findings.problems if one.path[3:] == ("name",)]
    return Card(
        number,
        key,
        kind if kind in MODELS else str(get_field(content, ("kind",))[0] or ""),
        get_field(content, ("disabled",))[0] is True,
        tuple(_group(cells, content, kind=kind)),
        tuple(_tell(one) for one in findings.problems if one not in beside and one not in names),
        "; ".join(one.text for one in names),
    )


def _is_shown(field: Field, content: Any) -> bool:
    """Return whether a field is in the form: all that has an effect, and what was written although it has none."""
    return field.path not in _OWN and (not field.is_inert or get_field(content, field.path)[1])


def _show(field: Field, prefix: str, *, content: Any, findings: _Findings) -> Cell:
    name = ".".join((prefix, *field.path))
    value, is_there = get_field(content, field.path)
    shown = show_value(field, value if is_there else field.default)
    error = "; ".join(_tell_within(one, field) for one in findings.problems if _concerns(one, field, shown=shown))
    if error and isinstance(shown, str) and name in findings.typed:
        shown = findings.typed[name][0]
    return Cell(field, name, shown, error)


def _concerns(problem: Problem, field: Field, *, shown: Any) -> bool:
    """Return whether a problem is told beside a field: the field's own, or its owner's where the field is not there."""
    path = problem.path[3:]
    if path and path == field.path[:-1] and not shown:
        return re.search(rf"\b{re.escape(field.key)}\b", problem.text) is not None
    return path[: len(field.path)] == field.path


def _tell_within(problem: Problem, field: Field) -> str:
    """Return a problem's words; those of a row of a table say which row it is."""
    row = problem.path[3 + len(field.path) :]
    if not row:
        return problem.text
    place = f"row {int(row[0]) + 1}" if row[0].isdecimal() else row[0]
    return ": ".join([", ".join([place, *row[1:]]), problem.text])


def _tell(problem: Problem) -> str:
    return str(Problem(problem.path[3:], problem.text))


def _group(cells: Sequence[Cell], content: Any, *, kind: str) -> Iterator[Group]:
    titles = {cell.name: _find_title(cell.field, kind) for cell in cells}
    own = [title for title in dict.fromkeys(titles.values()) if title not in (*_FIRST, *_LAST)]
    order = [*_FIRST, *own, *_LAST]
    ordered = sorted(cells, key=lambda cell: order.index(titles[cell.name]))
    for title, found in groupby(ordered, key=lambda cell: titles[cell.name]):
        several = tuple(_sort(list(found)))
        yield Group(title, several, any(cell.error or get_field(content, cell.field.path)[1] for cell in several))


def _sort(cells: list[Cell]) -> list[Cell]:
    """Put what must be given first, then what the kind has of its own, and flags behind what is typed."""
    fields = {cell.name: cell.field for cell in cells}
    ranks = {
        name: (field.kind is Kind.FLAG, not field.is_required, field.path[0] != "attributes")
        for name, field in fields.items()
    }
    return sorted(cells, key=lambda cell: ranks[cell.name])


def _find_title(field: Field, kind: str) -> str:
    head, *rest = field.path
    if head == "attributes" and len(rest) == 1:
        return "TLS" if field.key in _TLS else _MORE if field.is_inert else _MAIN
    if len(field.path) > 1:
        return say_key(field.path[-2])
    if head in _BROKER and KINDS[kind].has_broker:
        return "Broker"
    return _MAIN if head == "numWorkers" else _MORE
