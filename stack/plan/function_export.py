"""A function's folder as one self-contained document for Nuclio's own tools."""

import base64
import copy
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.config.build import POST_COPY
from stack.config.document import write_compact
from stack.config.function import DEFAULT_HTTP, DEFAULT_PROJECT, PROJECT_LABEL, FunctionConfig
from stack.config.settings import Settings
from stack.config.source import FILE, Function
from stack.config.trigger.registry import Trigger
from stack.contract import HTTP
from stack.errors import FunctionError
from stack.plan.code_entry import Kind, find_origin, runs_as_is
from stack.plan.function import (
    FunctionPlan,
    complete_function,
    plan_function,
)
from stack.plan.function_import import File, pack_files
from stack.plan.scale import find_limits
from stack.plan.secret import find_wants
from stack.plan.trigger.registry import find_kind

API_VERSION, KIND = "nuclio.io/v1", "NuclioFunction"

# What stays on this machine, as in Nuclio's own export.
_PRIVATE_TRIGGER = ("password", "secret")
_PRIVATE_ENTRY = ("password", "s3SecretAccessKey", "s3SessionToken")
_PRIVATE_HEADER = re.compile(r"auth|cookie|token|secret|passw|key|session|credential|signature|api$", re.IGNORECASE)
_ACCOUNT = re.compile(r"\s*(?P<scheme>(?:(?:[a-z][a-z0-9+.-]*:)?//)?)(?P<account>[^/?#]*)@", re.IGNORECASE)
_GIVE_AGAIN = "give it again where this is imported"


@dataclass(frozen=True)
class Exported:
    """What Nuclio is told, and what anyone who imports it must know."""

    document: dict[str, Any]
    notes: tuple[str, ...]


def find_plan(function: Function, settings: Settings) -> FunctionPlan:
    """Return the plan of a function whose code is in its folder, or where Nuclio can fetch it too.

    Raises:
        ConfigError: the function is wrong.
        FunctionError: its code is somewhere else on this machine.
    """
    origin = find_origin(function)
    if origin and origin.kind is Kind.LOCAL:
        raise FunctionError(
            f"{function.document}: spec.build.path: only this machine has {origin.address}; copy it into "
            f"{function.folder}, or let the path be a URL, for an export."
        )
    if _is_elsewhere(function):
        return complete_function(function, function.config.spec.handler, settings=settings)
    return plan_function(function, settings)


def exported_paths(plan: FunctionPlan) -> list[str]:
    """List the files that belong into an export: all but the configuration and the tests that nothing is run from."""
    function = plan.function
    used = {plan.runtime.list_sources(plan.handler)[0], *(path for one in function.requirements for path in one.others)}
    paths = [] if _is_elsewhere(function) else [file.path for file in function.files if file.path != FILE]
    tests = plan.runtime.files.tests
    return [path for path in paths if path in used or not posixpath.basename(path).startswith(tests)]


def plan_export(plan: FunctionPlan, files: Mapping[str, File]) -> Exported:
    """Join a function's configuration and its files.

    The handler's file is the inline source. The others are unpacked by a command of the build, since Nuclio has no
    place for them.

    Raises:
        FunctionError: the other files are too large for a command.
    """
    config = write_compact(plan.function.config)
    handler = {"handler": _name_handler(plan, _find_source(plan, files))} if plan.handler else {}
    spec = {**config.get("spec", {}), **handler, "runtime": plan.spec.runtime}
    if build := _join_build(plan, spec.get("build", {}), files=files):
        spec["build"] = build
    document = {
        "apiVersion": config.get("apiVersion", API_VERSION),
        "kind": config.get("kind", KIND),
        "metadata": {"name": plan.name, **config.get("metadata", {})},
        "spec": spec,
    }
    lost = (*_name_outputs(plan), *_name_retries(plan))
    return Exported(document, (*_leave_out_secrets(spec), *_name_secrets(plan), *lost, *_name_shared(plan)))


def _find_source(plan: FunctionPlan, files: Mapping[str, File]) -> str:
    return next((path for path in plan.runtime.list_sources(plan.handler) if path in files), "")


def _name_handler(plan: FunctionPlan, source: str) -> str:
    """Return the handler, with the suffix of its source where that is another than the file of an inline one has."""
    is_other = posixpath.splitext(source)[1] in plan.runtime.files.other_suffixes
    return f"{source}:{plan.handler.rpartition(':')[2]}" if is_other else plan.handler


def _name_outputs(plan: FunctionPlan) -> Iterator[str]:
    if plan.outputs:
        names = ", ".join(plan.outputs)
        yield f"spec.outputs ({names}): the original Nuclio has none, and its context no outputs; Tidegate takes them"


def _name_retries(plan: FunctionPlan) -> Iterator[str]:
    for name, trigger in plan.triggers.items():
        kind = find_kind(trigger)
        if kind.keeps_failed(trigger):
            lost = "is acknowledged and lost; Tidegate tries it again, and keeps it as a dead letter in the end"
            yield f"spec.triggers.{name}: in the original Nuclio a message whose handler fails {lost}"
        if kind.has_lock(trigger, 1) and find_limits(plan.spec).most > 1:
            lost = "each replica of the original Nuclio's fires; of Tidegate's, one does"
            yield f"spec.triggers.{name}: {lost}"


def _name_shared(plan: FunctionPlan) -> Iterator[str]:
    if plan.function.shared:
        names = ", ".join(dict.fromkeys(file.path.partition("/")[0] for file in plan.function.shared))
        yield f"functions/.shared ({names}): is not in the export; copy it into {plan.function.folder} to have it there"


def _is_elsewhere(function: Function) -> bool:
    return find_origin(function) is not None or runs_as_is(function)


def _join_build(plan: FunctionPlan, build: dict[str, Any], *, files: Mapping[str, File]) -> dict[str, Any]:
    source = _find_source(plan, files)
    if source:
        code = base64.b64encode(files[source].content).decode()
        build = {**build, "functionSourceCode": code, "codeEntryType": "sourceCode"}
    # Nuclio writes the source to a file of its module's name, which is right only beside nothing else.
    others = {path: file for path, file in files.items() if path != source or "/" in source}
    return _join_files(build, others, install=plan.runtime.write_install(plan.handler, others)) if others else build


def _join_files(build: dict[str, Any], files: Mapping[str, File], *, install: str) -> dict[str, Any]:
    """Add the commands that unpack files, before whatever the author runs once the files are there."""
    commands = list(build.get("commands", []))
    added = [pack_files(files), *([install] if install and install not in commands else [])]
    directives = build.get("directives", {})
    if directives and not commands:
        after = [*({"kind": "RUN", "value": command} for command in added), *directives.get("postCopy", [])]
        return {**build, "directives": {**directives, "postCopy": after}}
    if POST_COPY not in commands:
        commands.append(POST_COPY)
    at = commands.index(POST_COPY) + 1
    return {**build, "commands": [*commands[:at], *added, *commands[at:]]}


def _leave_out_secrets(spec: dict[str, Any]) -> Iterator[str]:
    for name, trigger in spec.get("triggers", {}).items():
        yield from _drop(f"spec.triggers.{name}", trigger, keys=_PRIVATE_TRIGGER)
        yield from _cut_account(f"spec.triggers.{name}", trigger, key="url")
    build = spec.get("build", {})
    yield from _cut_account("spec.build", build, key="path")
    entry = build.get("codeEntryAttributes", {})
    headers = entry.get("headers", {})
    yield from _drop("spec.build.codeEntryAttributes", entry, keys=_PRIVATE_ENTRY)
    private = [name for name in headers if _PRIVATE_HEADER.search(name)]
    yield from _drop("spec.build.codeEntryAttributes.headers", headers, keys=private)


def _drop(path: str, owner: dict[str, Any], *, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if owner.pop(key, ""):
            yield f"{path}.{key}: left out; {_GIVE_AGAIN}"


def _cut_account(path: str, owner: dict[str, Any], *, key: str) -> Iterator[str]:
    """Take out of an address who asks; a name alone stays, but for the web's, where it may be a token."""
    url = owner.get(key, "")
    found = _ACCOUNT.match(url)
    if found and (":" in found["account"] or found["scheme"].lower().startswith("http")):
        owner[key] = found["scheme"] + url[found.end() :]
        yield f"{path}.{key}: its account is left out; {_GIVE_AGAIN}"


def _name_secrets(plan: FunctionPlan) -> Iterator[str]:
    for want in find_wants(plan):
        if want.in_environment or want.volume:
            yield f"{want.path}: the secret {want} stays here; make it where this is imported"


# Keys that clients look up without a look whether they are there.
_PRESENT: Mapping[str, Any] = {"resources": {}, "build": {}, "platform": {}, "eventTimeout": ""}
# Annotations of an export. One alone says that a function is only to be kept: without the other's build a function is
# deployed, from an image that depends on all that it is made of, so that there is one where nothing is to be built.
_KEPT_MARK = "skip-deploy"
IMPORT_MARKS = ("skip-build", _KEPT_MARK)


@dataclass(frozen=True)
class NuclioFunction:
    """What a document is made of; `source` is empty where the code is elsewhere, `handler` where nothing is yet."""

    name: str
    namespace: str
    project: str
    config: FunctionConfig
    handler: str
    triggers: Mapping[str, Trigger]
    source: str = ""
    source_path: str = ""
    image: str = ""


def describe_function(told: NuclioFunction) -> dict[str, Any]:
    """Return `metadata` and `spec` as Nuclio's dashboard tells them."""
    given = write_compact(told.config)
    metadata = given.get("metadata", {})
    labels = {PROJECT_LABEL: told.project, **metadata.get("labels", {})}
    spec = {**copy.deepcopy(dict(_PRESENT)), "runtime": told.config.spec.runtime, **given.get("spec", {})}
    spec["handler"] = told.handler
    # One that is disabled is not among those that count.
    triggers = {**told.config.spec.triggers, **told.triggers}
    spec["triggers"] = {name: _describe_trigger(name, trigger) for name, trigger in triggers.items()}
    if told.source:
        code = base64.b64encode(told.source.encode()).decode()
        spec["build"] = {**spec["build"], "functionSourceCode": code, "codeEntryType": "sourceCode"}
    if told.image:
        spec["image"] = told.image
    head = {**metadata, "name": told.name, "namespace": told.namespace, "labels": labels}
    return {"metadata": head, "spec": spec}


def leave_out_derived(document: dict[str, Any], told: NuclioFunction) -> dict[str, Any]:
    """Return a document that a client sends, without what it was told and its author need not write.

    `told` is what clients are told of the function: of one that is new, with its defaults only.
    """
    content = copy.deepcopy(document)
    metadata, spec = content.get("metadata"), content.get("spec")
    if isinstance(metadata, dict):
        _leave_out(metadata, {"namespace": told.namespace, "resourceVersion": metadata.get("resourceVersion")})
        if isinstance(labels := metadata.get("labels"), dict):
            _leave_out(labels, {PROJECT_LABEL: DEFAULT_PROJECT})
    if isinstance(spec, dict):
        if not told.config.spec.image:
            _leave_out(spec, {"image": told.image})
        if not told.config.spec.handler:
            _leave_out(spec, {"handler": told.handler})
        if "runtime" not in told.config.spec.model_fields_set:
            _leave_out(spec, {"runtime": told.config.spec.runtime})
        _leave_out_triggers(spec)
    content.pop("status", None)
    return content


def is_import(document: Mapping[str, Any]) -> bool:
    """Return whether a document is marked as one that is only to be kept."""
    annotations = document.get("metadata", {}).get("annotations")
    marks = annotations if isinstance(annotations, dict) else {}
    return str(marks.get(_KEPT_MARK, "")).lower() == "true"


def _describe_trigger(name: str, trigger: Trigger) -> dict[str, Any]:
    given = write_compact(trigger)
    return {"class": "", **given, "name": trigger.name or name, "numWorkers": trigger.workers}


def _leave_out_triggers(spec: dict[str, Any]) -> None:
    triggers = spec.get("triggers")
    if not isinstance(triggers, dict):
        return
    for name, trigger in list(triggers.items()):
        if isinstance(trigger, dict):
            _leave_out(trigger, {"name": name, "class": "", "numWorkers": trigger.get("maxWorkers") or 1})
            if name == DEFAULT_HTTP and trigger == {"kind": HTTP} and not spec.get("disableDefaultHTTPTrigger"):
                del triggers[name]


def _leave_out(owner: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in defaults.items():
        if key in owner and owner[key] == value:
            del owner[key]
