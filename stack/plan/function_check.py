"""What is wrong with the text of a function's file, as far as the text alone tells."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import urlsplit

from stack.config.document import parse_model
from stack.config.function import FunctionConfig, Spec
from stack.config.runtime import runtime_of
from stack.config.source import FILE
from stack.config.trigger.registry import Trigger
from stack.config.yaml_loader import Finding, find_places, parse_mapping
from stack.errors import AccessError, ConfigError
from stack.plan.broker import Bound
from stack.plan.code_entry import runs_as_is
from stack.plan.dead_letter import is_kept_for
from stack.plan.dockerfile import split_commands
from stack.plan.function import FunctionPlan, bound_queues, declared_by_outputs, name_queues, own_queues
from stack.plan.output.registry import find_kind as find_output_kind
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.trigger.registry import find_kind


def check_text(path: str, text: str) -> tuple[Finding, ...]:
    """Return the problems of a file's text: a configuration's, or where its runtime cannot read it; else nothing."""
    if path == FILE:
        return _check_configuration(text)
    runtime = runtime_of(path)
    return RUNTIMES[runtime].check_text(path, text) if runtime else ()


def _check_configuration(text: str) -> tuple[Finding, ...]:
    try:
        parse_model(FunctionConfig, parse_mapping(text, FILE), name=FILE)
    except ConfigError as error:
        return find_places(text, error.problems, document=FILE)
    return ()


def find_source(plan: FunctionPlan) -> str:
    """Return the path of the handler's file below the folder of the code; nothing where its text may not be what runs.

    That is so where the build changes files after they were copied.
    """
    _, after = split_commands(plan.spec.build)
    if after or runs_as_is(plan.function):
        return ""
    first, *others = plan.runtime.list_sources(plan.handler)
    paths = {file.path for file in plan.function.files}
    return next((path for path in others if path in paths and not plan.spec.build.function_source_code), first)


def find_loopback(spec: Spec) -> Iterator[str]:
    """Yield a line for each trigger whose broker would have to run in the function's own container."""
    for name, trigger in spec.triggers.items():
        if not find_kind(trigger).has_broker or trigger.disabled or trigger.secret:
            continue
        url = trigger.url
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
        if _is_loopback(host):
            own = find_kind(trigger).stack_url
            yield (
                f"spec.triggers.{name}.url: {host} is the function's own container, where no broker runs. The stack's "
                f"broker is {own}, or no url at all; another one on this machine is reached by the machine's "
                "address in its network, if it listens there"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


# The trigger and the attribute in which something is named.
_Place = tuple[str, str]


@dataclass(frozen=True)
class Claimant:
    """A function, and what its own function.yaml says, without what was fetched with its code."""

    plan: FunctionPlan
    own: FunctionConfig

    @property
    def fetched_names(self) -> dict[_Place, str]:
        """Return the queues and exchanges that only the fetched configuration names."""
        if not self.plan.function.origin:
            return {}
        own = _list_names(self.own.spec.triggers)
        return {place: name for place, name in _list_names(self.plan.triggers).items() if own.get(place) != name}


def check_queues(claimant: Claimant, others: Sequence[Claimant]) -> None:
    """Refuse a function whose queues are others' in a way that no one can want.

    Raises:
        AccessError: code that is fetched, this function's or another's, would take messages of the other one.
        ConfigError: a queue of one holds the failed messages of the other.
    """
    both = [pair for other in others for pair in ((claimant, other), (other, claimant))]
    taken = [problem for one, other in both for problem in (*_find_taken(one, other), *_find_fed(one, other))]
    if taken:
        raise AccessError(taken)
    if collisions := [problem for one, other in both for problem in _find_collisions(one.plan, other.plan)]:
        raise ConfigError(collisions)


def _find_taken(one: Claimant, other: Claimant) -> Iterator[str]:
    """Yield what the fetched configuration of the one names of the other's."""
    queues = own_queues(other.plan)
    for (trigger, key), name in one.fetched_names.items():
        if any(name == queue or is_kept_for(name, queue) for queue in queues):
            own = f"{one.plan.function.folder}/function.yaml"
            yield (
                f"{_place(one.plan, trigger, key=key)}: {name!r} is a queue of the function {other.plan.name}, whose "
                f"messages fetched code may not take; write the same into {own} if it is to have them"
            )


def _find_fed(one: Claimant, other: Claimant) -> Iterator[str]:
    """Yield the outputs of the one that only its fetched configuration names, and that go into a queue of the other."""
    queues = own_queues(other.plan)
    for name, bound in declared_by_outputs(one.plan).items() if one.plan.function.origin else ():
        if bound.queue in queues and one.own.spec.outputs.get(name) != one.plan.outputs[name]:
            yield (
                f"{one.plan.function.document}: spec.outputs.{name}.queue: {bound.queue!r} is a queue of the function "
                f"{other.plan.name}, into which fetched code may put nothing; write the same into "
                f"{one.plan.function.folder}/function.yaml if it is to"
            )


def find_disagreements(plan: FunctionPlan, others: Sequence[FunctionPlan]) -> Iterator[str]:
    """Yield a line for each output that declares an exchange or a queue otherwise than a function does.

    What the broker has first stays, and is used as it is.
    """
    declared = [(plan.name, bound_queues(plan))]
    declared += [(one.name, (*bound_queues(one), *declared_by_outputs(one).values())) for one in others]
    for name, own in declared_by_outputs(plan).items():
        for function, several in declared:
            for difference in filter(None, (_compare(own, one) for one in several)):
                where = f"{plan.function.document}: spec.outputs.{name}"
                yield f"{where}: {difference} in the function {function}; the broker keeps what it has first"


def find_unknown_functions(plan: FunctionPlan, names: Collection[str]) -> Iterator[str]:
    """Yield a line for each output that calls a function of none of these names."""
    for name, output in plan.outputs.items():
        called = find_output_kind(output).find_function(output)
        if called and called not in {plan.name, *names}:
            near = get_close_matches(called, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "deploy it, or what is sent there fails its event"
            yield f"{plan.function.document}: spec.outputs.{name}.name: no function {called!r} is deployed; {hint}"


def _compare(own: Bound, other: Bound) -> str:
    """Return how two declarations of one thing differ; nothing if they do not."""
    if own.exchange and own.exchange == other.exchange and own.is_durable_exchange != other.is_durable_exchange:
        return f"the exchange {own.exchange!r} is {_word(own.is_durable_exchange)} here, and not so"
    here, there = (f"{_word(one.is_durable_queue)} {one.queue_type}".rstrip() for one in (own, other))
    if own.queue and own.queue == other.queue and here != there:
        return f"the queue {own.queue!r} is {here} here, and {there}"
    return ""


def _word(is_durable: bool) -> str:
    return "durable" if is_durable else "not durable"


def _find_collisions(one: FunctionPlan, other: FunctionPlan) -> Iterator[str]:
    """Yield the queues of the one in which failed messages of the other wait."""
    for trigger, queue in name_queues(one).items():
        for source in dict.fromkeys(own_queues(other)):
            if is_kept_for(queue, source):
                what = f"{queue!r} holds the failed messages of {source!r}, a queue of the function {other.name}"
                yield f"{_place(one, trigger, key='queueName')}: {what}; choose another"


def _list_names(triggers: Mapping[str, Trigger]) -> dict[_Place, str]:
    """Return the queues and exchanges of the stack's broker that triggers name."""
    named = ((name, find_kind(trigger).list_names(trigger)) for name, trigger in triggers.items())
    return {(name, key): value for name, names in named for key, value in names.items() if value}


def _place(plan: FunctionPlan, trigger: str, *, key: str) -> str:
    return f"{plan.function.document}: spec.triggers.{trigger}.attributes.{key}"
