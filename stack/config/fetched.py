"""What counts of a configuration that was fetched with code from elsewhere: what describes the code, and no more.

Whoever can change that code could otherwise have whatever this machine and its secrets can give.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.config.document import parse_model
from stack.config.environment import Variable
from stack.config.function import FunctionConfig, Spec
from stack.config.problem import Problem
from stack.config.trigger import HttpTrigger
from stack.errors import AccessError

# Keys of spec that are taken as they are.
_TAKEN = ("handler", "description", "triggers", "runtimeAttributes")
# Keys that are refused, by their name in the models; what a function's own function.yaml says too is no request.
_REFUSED = ("volumes", "devices", "security_context", "env_from", "resources", "platform", "image")
_REFUSED_OF_BUILD = ("flags", "base_image", "onbuild_image", "directives", "image")
# A line that goes on in the next one, and what BuildKit passes over between the two.
_CONTINUED = re.compile(r"\\[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_OWN = "write it into the function's own function.yaml if it is to be so"


@dataclass(frozen=True)
class Fetched:
    """A fetched configuration: what is taken of it, the keys of that, and the keys that are left out."""

    document: dict[str, Any]
    taken: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def take_fetched(there: Mapping[str, Any], own: FunctionConfig, name: str) -> Fetched:
    """Return what is taken of a fetched configuration; `name` stands for its file in errors.

    Raises:
        ConfigError: it is wrong.
        AccessError: it asks for what only a function's own function.yaml may ask for.
    """
    spec = parse_model(FunctionConfig, there, name).spec
    problems = [
        *_find_refused(spec, own.spec),
        *_find_variables(spec.env, own.spec.env),
        *_find_triggers(spec, own.spec),
        *_find_commands(spec.build.commands),
    ]
    if problems:
        raise AccessError([f"{name}: spec.{problem}" for problem in problems])
    given = spec.model_dump(by_alias=True, mode="json", exclude_unset=True)
    taken = {key: value for key, value in given.items() if key in _TAKEN and value}
    if plain := [one for one in given.get("env", []) if "valueFrom" not in one]:
        taken["env"] = plain
    if commands := given.get("build", {}).get("commands"):
        taken["build"] = {"commands": commands}
    keys = ("build.commands" if key == "build" else key for key in taken)
    return Fetched({"spec": taken}, tuple(keys), tuple(_list_left_out(given, taken)))


def _list_left_out(given: Mapping[str, Any], taken: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key, value in given.items() if key not in (*taken, "build", "env") and value)
    yield from (f"build.{key}" for key, value in given.get("build", {}).items() if key != "commands" and value)


def _find_refused(spec: Spec, own: Spec) -> Iterator[Problem]:
    pairs = [((), spec, own, _REFUSED), (("build",), spec.build, own.build, _REFUSED_OF_BUILD)]
    for path, model, mine, names in pairs:
        for name in names:
            field = type(model).model_fields[name]
            value = getattr(model, name)
            if value not in (field.get_default(call_default_factory=True), getattr(mine, name)):
                yield _refuse(*path, field.alias or name)


def _find_variables(env: list[Variable], own: list[Variable]) -> Iterator[Problem]:
    for number, variable in enumerate(env):
        if variable.value_from and variable not in own:
            yield _refuse("env", str(number), "valueFrom")


def _find_triggers(spec: Spec, own: Spec) -> Iterator[Problem]:
    """Find triggers that name a secret of the stack or a port of this machine, or do without the gateway's login."""
    for name, trigger in spec.triggers.items():
        mine = own.triggers.get(name)
        if trigger.secret and trigger.secret != getattr(mine, "secret", ""):
            yield _refuse("triggers", name, "secret")
        port = trigger.attributes.port if isinstance(trigger, HttpTrigger) else 0
        if port and not (isinstance(mine, HttpTrigger) and mine.attributes.port == port):
            yield _refuse("triggers", name, "attributes", "port")
        login = trigger.attributes.authentication if isinstance(trigger, HttpTrigger) else None
        if login and not (isinstance(mine, HttpTrigger) and mine.attributes.authentication == login):
            yield _refuse("triggers", name, "attributes", "authentication")


def _find_commands(commands: list[str]) -> Iterator[Problem]:
    """Find commands that begin with an option of RUN, such as what it mounts."""
    for number, command in enumerate(commands):
        if _CONTINUED.sub("", command.strip()).lstrip().startswith("--"):
            yield _refuse("build", "commands", str(number))


def _refuse(*path: str) -> Problem:
    return Problem(path, f"is not taken from code that is fetched; {_OWN}")
