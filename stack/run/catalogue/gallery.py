"""The gallery: what a new function can begin from, in the form of Nuclio's function templates."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stack.config.reading import parse_mapping
from stack.config.settings import Settings
from stack.config.source import FILE, function_folders
from stack.errors import StackError
from stack.plan.demo import ALERT, CONSUMERS, EVENTS
from stack.plan.scaffold import TRIGGERS, plan_scaffold
from stack.run.catalogue.exchange import make_export
from stack.run.workspace import PROGRAM

_EXAMPLES = (*CONSUMERS.values(), *EVENTS.values(), ALERT)
_VALUES = {
    "name": {
        "displayName": "Name",
        "description": "What the function is called",
        "kind": "string",
        "required": True,
        "order": 0,
        "attributes": {"defaultValue": "my-function"},
    }
}


@dataclass(frozen=True)
class Pattern:
    """Something to begin from: a template with the values that it asks for, or a function that is complete."""

    name: str
    template: str = ""
    function: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """Return Nuclio's object."""
        if self.function is not None:
            return {"rendered": {key: self.function[key] for key in ("metadata", "spec")}}
        return {"metadata": {"name": self.name}, "template": self.template, "values": _VALUES}

    def contains(self, text: str) -> bool:
        """Say whether a text is in its name or in what it is."""
        return text in self.name or text in yaml.safe_dump(self.describe(), allow_unicode=True)


def list_patterns() -> tuple[Pattern, ...]:
    """Return one template for each kind of trigger, and the functions of Tidegate's own example."""
    examples = (Pattern(name, function=document) for name, document in find_examples().items())
    return (*_list_templates(), *examples)


def find_examples() -> dict[str, dict[str, Any]]:
    """Return the functions of Tidegate's own example, by name, as they are now.

    They lie where a user may change them and add others: the others are left out, and so is what is wrong or gone.
    """
    folders = function_folders(PROGRAM)
    found = ((name, _export(folders[name])) for name in _EXAMPLES if name in folders)
    return {name: document for name, document in found if document}


def _export(folder: Path) -> dict[str, Any] | None:
    try:
        return make_export(folder, Settings()).document
    except (StackError, OSError):
        return None


@cache
def _list_templates() -> tuple[Pattern, ...]:
    return tuple(Pattern(trigger, template=_write_template(trigger)) for trigger in TRIGGERS)


def _write_template(trigger: str) -> str:
    files = plan_scaffold("{{ .name }}", trigger)
    document = parse_mapping(files[FILE].decode(), FILE)
    build = document["spec"].setdefault("build", {})
    build["functionSourceCode"] = b64encode(files["main.py"]).decode()
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
