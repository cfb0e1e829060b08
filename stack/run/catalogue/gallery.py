"""The gallery: what a new function can begin from, in the form of Nuclio's function templates."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from stack.config.reading import parse_mapping
from stack.config.settings import Settings
from stack.config.source import FILE, function_folders
from stack.plan.scaffold import TRIGGERS, plan_scaffold
from stack.run.catalogue.exchange import make_export
from stack.run.workspace import PROGRAM

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


@cache
def list_patterns() -> tuple[Pattern, ...]:
    """Return one template for each kind of trigger, and the functions of Tidegate's own example.

    Raises:
        StackError: one of them is wrong.
    """
    examples = (make_export(folder, Settings()).document for folder in function_folders(PROGRAM).values())
    return (
        *(Pattern(trigger, template=_write_template(trigger)) for trigger in TRIGGERS),
        *(Pattern(one["metadata"]["name"], function=one) for one in examples),
    )


def _write_template(trigger: str) -> str:
    files = plan_scaffold("{{ .name }}", trigger)
    document = parse_mapping(files[FILE].decode(), FILE)
    build = document["spec"].setdefault("build", {})
    build["functionSourceCode"] = b64encode(files["main.py"]).decode()
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
