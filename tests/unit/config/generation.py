"""Documents made from a model's own fields: every one of them is valid, and no field is forgotten."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from stack.config.introspect import model_of, strip_annotation
from stack.config.trigger.registry import OtherTrigger

Strategy = st.SearchStrategy[Any]
# By the name of a model and the key of a field: what is made there instead; None leaves it out.
Special = Mapping[str, Strategy | None]

LEAVES: dict[type, tuple[Any, ...]] = {
    str: ("a", "10s", "1h30m", "amqp://b:5672", "/x", "RUN", "python", "a b", "no", "5", "ä#: '\"\n", "x\\ny", "@z"),
    int: (0, 1, 2, 9, 443, 70_000),
    bool: (True, False),
}
ANYTHING = ({"k": [1, "x"]}, ["y"], "z", 3)
WORDS = st.sampled_from(("a", "b2", "Long-Name", "nuclio.io/x"))


def documents(model: type[BaseModel], special: Special) -> Strategy:
    """Make what a file could hold for a model, only such as the model takes."""
    needed: dict[str, Strategy] = {}
    optional: dict[str, Strategy] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        made = special.get(f"{model.__name__}.{key}", special.get(key, _values(_whole(field), special)))
        if made is not None:
            (needed if field.is_required() or f"{model.__name__}.{key}" in special else optional)[key] = made
    adapter = TypeAdapter(model)
    return st.fixed_dictionaries(needed, optional=optional).filter(lambda one: _is_valid(adapter, one))


def _values(annotation: Any, special: Special) -> Strategy:
    plain = strip_annotation(annotation)
    origin, parts = get_origin(plain), get_args(plain)
    if model := model_of(plain):
        return documents(model, special)
    if origin in (Union, UnionType):
        return st.one_of([_values(part, special) for part in parts if model_of(part) is not OtherTrigger])
    if origin is list:
        return st.lists(_values(parts[0], special), max_size=2)
    if origin is dict:
        return st.dictionaries(WORDS, _values(parts[1], special), max_size=2)
    pool = parts if origin is Literal else LEAVES.get(plain, ANYTHING)
    adapter = TypeAdapter(annotation)
    return st.sampled_from([value for value in pool if _is_valid(adapter, value)])


def _whole(field: FieldInfo) -> Any:
    annotation: Any = field.annotation
    for item in field.metadata:
        annotation = Annotated[annotation, item]
    return annotation


def _is_valid(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValueError:
        return False
    return True
