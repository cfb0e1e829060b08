"""The triggers of a function.yaml: of which kind each is, found by the table of `stack/contract.py`."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import ConfigDict, Discriminator, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from stack.config.document import OTHER_KIND, NuclioDocument, read_kind
from stack.config.problem import Problem
from stack.config.trigger.base import BaseTrigger
from stack.contract import KINDS

# The model of each kind: `MODEL` of its module.
MODELS: Mapping[str, type[BaseTrigger]] = {
    kind: import_module(f"stack.config.trigger.{module}").MODEL for kind, module in KINDS.items()
}


class AnyAttributes(NuclioDocument):
    """Attributes of a kind that is not known here."""

    model_config = ConfigDict(extra="allow")


class OtherTrigger(BaseTrigger):
    """A kind that Nuclio knows and this processor does not serve yet."""

    kind: str
    attributes: AnyAttributes = AnyAttributes.model_construct()

    @model_validator(mode="after")
    def _refuse(self) -> "OtherTrigger":
        near = get_close_matches(self.kind.lower(), KINDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; supported: {', '.join(KINDS)}"
        raise ValueError(f"kind {self.kind!r} is not supported yet{hint}")


def kind_of(value: Any) -> str:
    """Return the kind of a trigger, parsed or as it stands in a file; `other` if it is none of those supported."""
    return read_kind(value, KINDS)


if TYPE_CHECKING:
    Trigger = BaseTrigger
else:
    _members = [Annotated[model, Tag(kind)] for kind, model in MODELS.items()]
    _members.append(Annotated[OtherTrigger, Tag(OTHER_KIND), SkipJsonSchema()])
    Trigger = Annotated[Union[tuple(_members)], Discriminator(kind_of)]  # noqa: UP007 -- a union of a list's members


def check_triggers(triggers: Mapping[str, Trigger]) -> Iterator[Problem]:
    """Find triggers that are named otherwise than their keys, and a second one where a function can have one only."""
    for key, trigger in triggers.items():
        if not key:
            yield Problem(("triggers", "''"), "a trigger needs a name; its key is empty")
        if trigger.name and trigger.name != key:
            yield Problem(("triggers", key, "name"), f"should be {key!r}, the trigger's key, not {trigger.name!r}")
    for kind, model in MODELS.items():
        first, *more = [key for key, trigger in triggers.items() if isinstance(trigger, model)] or [""]
        for key in more if model.is_single else ():
            yield Problem(("triggers", key), f"a function can have one {kind} trigger only, and {first!r} is one")
