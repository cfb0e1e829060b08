"""The outputs of a function.yaml: of which kind each is, found by the table of `stack/contract.py`."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import AfterValidator, ConfigDict, Discriminator, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from stack.config.document import OTHER_KIND, read_kind
from stack.config.output.base import BaseOutput
from stack.config.problem import Problem
from stack.contract import OUTPUTS

# The model of each kind: `MODEL` of its module.
MODELS: Mapping[str, type[BaseOutput]] = {
    kind: import_module(f"stack.config.output.{module}").MODEL for kind, module in OUTPUTS.items()
}


class OtherOutput(BaseOutput):
    """A kind that there is not."""

    model_config = ConfigDict(extra="allow")

    kind: str = ""

    @model_validator(mode="after")
    def _refuse(self) -> "OtherOutput":
        near = get_close_matches(self.kind.lower(), OUTPUTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"kinds: {', '.join(OUTPUTS)}"
        raise ValueError(f"there is no kind of output {self.kind!r}; {hint}" if self.kind else f"needs a kind; {hint}")


def kind_of(value: Any) -> str:
    """Return the kind of an output, parsed or as it stands in a file; `other` if it is none."""
    return read_kind(value, OUTPUTS)


if TYPE_CHECKING:
    Output = BaseOutput
else:
    _members = [Annotated[model, Tag(kind)] for kind, model in MODELS.items()]
    _members.append(Annotated[OtherOutput, Tag(OTHER_KIND), SkipJsonSchema()])
    Output = Annotated[Union[tuple(_members)], Discriminator(kind_of)]  # noqa: UP007 -- a union of a list's members


def _check_name(name: str) -> str:
    if not name.isidentifier() or iskeyword(name) or name.startswith("_"):
        raise ValueError("should be a name as Python has them, such as alerts: letters, digits and _, a letter first")
    return name


OutputName = Annotated[str, AfterValidator(_check_name)]


def check_on_success(outputs: Mapping[str, Output], on_success: str) -> Iterator[Problem]:
    """Find an onSuccess that is no output, or one that an answer cannot be sent to."""
    if not on_success:
        return
    if on_success not in outputs:
        known = f"outputs: {', '.join(outputs)}" if outputs else "spec.outputs has none"
        near = get_close_matches(on_success, outputs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else known
        yield Problem(("onSuccess",), f"there is no output {on_success!r}; {hint}")
    elif names := outputs[on_success].placeholders:
        text = f"{on_success!r} needs a value for {{{names[0]}}}, which an answer does not have; send it in the handler"
        yield Problem(("onSuccess",), text)
