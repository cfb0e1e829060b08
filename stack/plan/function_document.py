"""A function as Nuclio's dashboard tells it, with every default filled in; and back, without them."""

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stack.config.compact import write_compact
from stack.config.function import DEFAULT_HTTP, DEFAULT_PROJECT, PROJECT_LABEL, FunctionConfig
from stack.config.trigger import HTTP, Trigger

# Keys that clients look up without a look whether they are there.
_PRESENT: Mapping[str, Any] = {"resources": {}, "build": {}, "platform": {}, "eventTimeout": ""}
# Annotations of an export. One alone says that a function is only to be kept: without the other's build a function is
# deployed, from an image that depends on all that it is made of, so that there is one where nothing is to be built.
_KEPT_MARK = "skip-deploy"
IMPORT_MARKS = ("skip-build", _KEPT_MARK)


@dataclass(frozen=True)
class Told:
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


def describe_function(told: Told) -> dict[str, Any]:
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


def leave_out_derived(document: dict[str, Any], told: Told) -> dict[str, Any]:
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
    """Say whether a document is marked as one that is only to be kept."""
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
