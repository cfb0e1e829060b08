"""Many devices at once: as a table of CSV, to import and to export."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from stack import console
from stack.config.device import FOLDER, DeviceConfig
from stack.docker.stack import Stack, open_stack
from stack.errors import ConfigError, HostError, StackError
from stack.rabbitmq.device_account import make_accounts
from stack.run.devices.registry import (
    NewDevice,
    forget_devices,
    read_name,
    revoke_older,
    settle_first_login,
    tolerate_absence,
    write_new,
)
from stack.state.devices import device_path, list_logins, load_registry, make_login, remove_device, remove_login
from stack.state.lock import DEVICES, lock
from stack.state.workspace import Workspace, sync_tree

_NAME, _TYPE, _TOPICS, _LABEL, _PASSWORD, _LET_IN = "name", "type", "topics", "label.", "password", "mayLogIn"
# Columns that a table has where any device says so.
_LISTS, _TEXTS = ("publish", "subscribe"), ("description", "rate")
_YES, _NO = "yes", "no"
_MOST_PROBLEMS = 20
_PRIVATE = 0o600


def import_devices(file: Path, output: Path) -> None:
    """Add all devices of a table; their passwords are written to another.

    Raises:
        ConfigError: the table is wrong; each line is named.
        HostError: a file cannot be read or written.
    """
    stack = open_stack()
    text = _read_text(file)
    with _open_passwords(output) as target:
        count = add_table(stack, Table(file.name, text), target)
    added = (
        "1 device was added. Its password is" if count == 1 else f"{count:,} devices were added. Their passwords are"
    )
    console.success(f"{added} in {output}, and nowhere else.")
    console.say("Next: `invoke devices` lists them.")


@dataclass(frozen=True)
class Table:
    """A table of CSV, and the name of its file.

    A column is name, type, topics, publish or subscribe (with blanks between several), description, rate, a label, such
    as label.site, or mayLogIn: no, where a device is to be locked out.
    """

    name: str
    text: str


def add_table(stack: Stack, table: Table, passwords: TextIO) -> int:
    """Add all devices of a table, or none where something of it is wrong; their passwords are written as a table, too.

    Raises:
        ConfigError: the table is wrong; each line is named.
    """
    with lock(stack.workspace, DEVICES):
        new = list(_read_table(stack, table))
        written = _write_all(stack, new)
        devices = [device for device, one in zip(written, new, strict=True) if one.may_log_in]
        _end_older(stack, new)
        _write_passwords(stack, new, passwords)
        if devices:
            sync_tree(stack.workspace.secrets)
        count = "1 account" if len(devices) == 1 else f"{len(devices):,} accounts"
        with tolerate_absence(), console.working(f"Making {count}") as work:
            work.follow(f"{done:,} are made" for done in make_accounts(stack, devices))
    if devices:
        settle_first_login(stack)
        forget_devices(stack, [one.name for one in new])
    return len(new)


@contextmanager
def _open_passwords(output: Path) -> Iterator[TextIO]:
    """Open the file of the passwords; it is removed where nothing, or not all of them, could be written to it."""
    try:
        with open_private(output) as target:
            try:
                yield target
            except BaseException:
                if not target.tell():
                    output.unlink()
                raise
    except OSError as error:
        output.unlink(missing_ok=True)
        advice = "No device was added. Make room there, or name another --output"
        raise HostError(f"{output} cannot be written: {error.strerror}. {advice}.") from error


def _write_passwords(stack: Stack, new: Sequence[NewDevice], target: TextIO) -> None:
    """Give devices passwords; where these cannot be written, which are kept nowhere else, the devices go again."""
    writer = csv.writer(target, lineterminator="\n")
    try:
        writer.writerow((_NAME, _PASSWORD))
        for one in new:
            if one.may_log_in:
                writer.writerow((one.name, make_login(stack.workspace, one.name, is_durable=False)))
        target.flush()
    except BaseException:
        for one in new:
            remove_login(stack.workspace, one.name)
            remove_device(stack.workspace, one.name)
        raise


def _end_older(stack: Stack, new: Sequence[NewDevice]) -> None:
    """End the logins that are left of devices of the same names, whose files were taken away."""
    names = {one.name for one in new} & list_logins(stack.workspace)
    revoke_older(stack, names)
    for name in names:
        remove_login(stack.workspace, name)


def export_devices(workspace: Workspace, target: TextIO) -> None:
    """Write all devices as a table, without passwords."""
    devices, let_in = load_registry(workspace).devices, list_logins(workspace)
    labels = sorted({label for one in devices.values() for label in one.device.labels})
    used = [key for key in (*_LISTS, *_TEXTS) if any(getattr(one.device, key) for one in devices.values())]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow((_NAME, _TYPE, _TOPICS, *used, *(f"{_LABEL}{label}" for label in labels), _LET_IN))
    for one in devices.values():
        said = [_as_cell(getattr(one.device, key)) for key in (_TYPE, _TOPICS, *used)]
        own = [one.device.labels.get(label, "") for label in labels]
        writer.writerow((one.name, *said, *own, _YES if one.name in let_in else _NO))


def _as_cell(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _read_table(stack: Stack, table: Table) -> Iterator[NewDevice]:
    """Yield what each line says."""
    problems, seen = [], dict[str, int]()
    for number, row in _read_rows(table):
        try:
            one = _read_row(row)
            if one.name in seen:
                raise StackError(f"{one.name} is in line {seen[one.name]} already.")
            if device_path(stack.workspace, one.name).exists():
                raise StackError(f"There is a device {one.name} already.")
            seen[one.name] = number
            yield one
        except StackError as error:
            problems.append(f"{table.name}: line {number}: {error}")
    if not seen and not problems:
        problems.append(f"{table.name}: there is no device in it.")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise ConfigError([*problems[:_MOST_PROBLEMS], *([f"… and {more:,} more lines"] if more > 0 else ())])


def _read_rows(table: Table) -> Iterator[tuple[int, Mapping[str | None, Any]]]:
    try:
        text = io.StringIO(table.text, newline="")
        reader = csv.DictReader(text, strict=True, delimiter=_find_delimiter(table.text))
        columns = reader.fieldnames or ()
        if unknown := [one for one in columns if not _is_column(one)] or ([] if _NAME in columns else ["no name"]):
            known = f"{_NAME}, {_TYPE}, {_TOPICS}, {', '.join((*_LISTS, *_TEXTS))} and labels such as {_LABEL}site"
            raise ConfigError([f"{table.name}: the columns should be {known}; there is {unknown[0]!r}."])
        if doubled := [one for one in columns if columns.count(one) > 1]:
            raise ConfigError([f"{table.name}: there are two columns {doubled[0]}."])
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError([f"{table.name}: is no table of CSV: {error}."]) from error


def _find_delimiter(text: str) -> str:
    """Return what is between columns: spreadsheets write semicolons where numbers have commas in them."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _read_text(file: Path) -> str:
    try:
        return decode_table(file.name, file.read_bytes())
    except OSError as error:
        raise HostError(f"{file} cannot be read: {error.strerror}. Name another file.") from error


def decode_table(name: str, content: bytes) -> str:
    """Return the text of a table.

    Raises:
        ConfigError: it is not in UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{name}: is no table of CSV in UTF-8: {error}."]) from error


def _is_column(name: str) -> bool:
    known = (_NAME, _TYPE, _TOPICS, _LET_IN, *_LISTS, *_TEXTS)
    return name in known or (name.startswith(_LABEL) and name != _LABEL)


def _read_row(row: Mapping[str | None, Any]) -> NewDevice:
    if None in row:
        raise StackError("There are more cells than columns; put quotes around a cell with a comma in it.")
    cells = {str(key): str(value or "") for key, value in row.items()}
    if cells.get(_LET_IN) not in (None, "", _YES, _NO):
        raise StackError(f"{_LET_IN} should be {_YES} or {_NO}, not {cells[_LET_IN]!r}.")
    return NewDevice(
        read_name(cells[_NAME]),
        cells.get(_TYPE, ""),
        cells.get(_TOPICS, "").split(),
        {key.removeprefix(_LABEL): value for key, value in cells.items() if key.startswith(_LABEL) and value},
        more={key: cells.get(key, "").split() for key in _LISTS} | {key: cells.get(key, "") for key in _TEXTS},
        may_log_in=cells.get(_LET_IN) != _NO,
    )


def _write_all(stack: Stack, new: Sequence[NewDevice]) -> list[DeviceConfig]:
    """Write the files of all, or of none."""
    try:
        for one in new:
            write_new(stack.workspace, one, is_durable=False)
        registry = load_registry(stack.workspace)
        if wrong := [one.name for one in new if one.name not in registry.devices]:
            raise ConfigError([one for one in registry.problems if _names_one(one, set(wrong))][:_MOST_PROBLEMS])
        sync_tree(stack.workspace.root / FOLDER)
    except BaseException:
        for one in new:
            remove_device(stack.workspace, one.name)
        raise
    return [registry.devices[one.name] for one in new]


def _names_one(problem: str, names: set[str]) -> bool:
    return problem.partition(".yaml")[0].removeprefix(f"{FOLDER}/") in names


@contextmanager
def open_private(path: Path) -> Iterator[TextIO]:
    """Open a new file that only its owner can read: an older one may hold passwords that are needed."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        raise HostError(f"{path} is there already. Name another --output.") from None
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}. Name another --output.") from error
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        yield file
