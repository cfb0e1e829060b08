"""Frozen dataclasses, made in a tenth of the time.

For each class dataclasses writes the source of six methods and compiles it, half a millisecond that every task pays for
some sixty classes. A frozen class gets methods here that are the same for all; whatever else is asked of `dataclass` is
left to dataclasses, whose fields, replace and asdict work with both.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from dataclasses import dataclass as compiled
from typing import TYPE_CHECKING, Any, TypeVar

_Made = TypeVar("_Made")

# Where a class keeps its fields, by name.
_FIELDS = "__record_fields__"

if TYPE_CHECKING:
    # Checked as what it stands for.
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type[Any] | None = None, /, **options: bool) -> Any:
        """Do as dataclasses.dataclass does."""
        decorate = _freeze if options == {"frozen": True} else compiled(**options)
        return decorate if cls is None else decorate(cls)


def _freeze(cls: type[_Made]) -> type[_Made]:
    own = set(vars(cls))
    made: Any = compiled(init=False, repr=False, eq=False)(cls)
    setattr(made, _FIELDS, {one.name: one for one in fields(made)})
    for name, method in _METHODS.items():
        if name not in own:
            setattr(made, name, method)
    return cls


def _init(self: Any, *args: Any, **named: Any) -> None:
    known: dict[str, Field[Any]] = getattr(type(self), _FIELDS)
    values = dict(zip(type(self).__match_args__, args, strict=False)) | named
    for name, one in known.items():
        if name not in values:
            values[name] = _find_default(one, type(self))
    if len(values) != len(known) or len(args) > len(known):
        raise TypeError(f"{type(self).__name__} takes {', '.join(known)}")
    vars(self).update(values)


def _find_default(one: "Field[Any]", cls: type[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    if one.default_factory is not MISSING:
        return one.default_factory()
    raise TypeError(f"{cls.__name__} lacks {one.name}")


def _refuse(self: Any, name: str, _value: Any = None) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")


def _list_values(self: Any) -> tuple[Any, ...]:
    values = vars(self)
    return tuple(values[name] for name in getattr(type(self), _FIELDS))


def _equal(self: Any, other: Any) -> Any:
    return _list_values(self) == _list_values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_list_values(self))


def _write(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


_METHODS: dict[str, Callable[..., Any]] = {
    "__init__": _init,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _write,
}
