"""A file of alerts/ as a form, and back: the text stays the one document, comments and all."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from stack.config.alert import AlertConfig
from stack.config.problem import Problem, find_problems
from stack.config.yaml_edit import remove_value, set_value
from stack.config.yaml_loader import parse_mapping
from stack.dashboard.form.field import (
    Field,
    Kind,
    Sent,
    WrongValueError,
    find_change,
    get_field,
    list_fields,
    show_value,
)
from stack.dashboard.form.trigger import Cell, Group, Result

_MAIN, _MORE = "", "More"
# The fields of each group, of which the first three are one for each way to watch.
_GROUPS = {
    "A value": ("when", "clear"),
    "Silence": ("silent", "after", "forget"),
    "A query": ("expr",),
    _MAIN: ("for", "severity", "text"),
    _MORE: ("labels", "every"),
}
# These may have several lines, as they are written.
_LONG = ("expr", "text")
_FIELDS = {
    field.key: replace(field, kind=Kind.LONG) if field.key in _LONG else field for field in list_fields(AlertConfig)
}
_DOCUMENT = "the alert"


def check_text(text: str) -> tuple[Problem, ...]:
    """Return everything that is wrong with a file of alerts/.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    return tuple(find_problems(AlertConfig, parse_mapping(text, _DOCUMENT)))


def lay_out(text: str, problems: Sequence[Problem] = (), typed: Sent | None = None) -> tuple[Group, ...]:
    """Return the fields as they are shown, each problem beside its field.

    Raises:
        ConfigError: it is no YAML that holds a mapping.
    """
    content = parse_mapping(text, _DOCUMENT)
    # A file that says nothing yet begins with a value.
    used = [key for key in ("when", "silent", "expr") if get_field(content, (key,))[0]] or ["when"]
    return tuple(
        _lay_out_group(title, keys, content=content, problems=problems, typed=typed or {}, used=used)
        for title, keys in _GROUPS.items()
    )


def find_rest(groups: Iterable[Group], problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are beside no field."""
    shown = {cell.field.key for group in groups for cell in group.cells}
    return tuple(one for one in problems if not one.path or one.path[0] not in shown)


def apply_form(text: str, sent: Sent) -> Result:
    """Write what a form says into the text that it was made of.

    Raises:
        ConfigError: the text is no YAML that holds a mapping.
    """
    content, problems = parse_mapping(text, _DOCUMENT), []
    for key in chain.from_iterable(_GROUPS.values()):
        try:
            change = find_change(_FIELDS[key], content, name=key, sent=sent)
        except WrongValueError as error:
            problems.append(Problem((key,), str(error)))
            continue
        if change:
            text = remove_value(text, (key,)) if change.is_removal else set_value(text, (key,), change.value)
    return Result(text, tuple(problems))


def _lay_out_group(
    title: str,
    keys: Sequence[str],
    *,
    content: object,
    problems: Sequence[Problem],
    typed: Sent,
    used: Sequence[str],
) -> Group:
    cells = tuple(_show(_FIELDS[key], content, problems=problems, typed=typed) for key in keys)
    is_said = any(cell.error or get_field(content, cell.field.path)[1] for cell in cells)
    return Group(title, cells, is_said or any(key in used for key in keys))


def _show(field: Field, content: object, *, problems: Sequence[Problem], typed: Sent) -> Cell:
    value, is_there = get_field(content, field.path)
    shown = show_value(field, value if is_there else field.default)
    error = "; ".join(_tell(one) for one in problems if one.path[:1] == field.path)
    if error and isinstance(shown, str) and field.key in typed:
        shown = typed[field.key][0]
    return Cell(field, field.key, shown, error)


def _tell(problem: Problem) -> str:
    return str(Problem(problem.path[1:], problem.text))
