"""The reference pages say what the models, the tasks, the API and the metrics are now."""

import json
from pathlib import Path

import pytest

from stack.config.document import Document
from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings
from stack.dev.reference import FOLDER, PAGES, build_page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_not_stale(name: str) -> None:
    text = (ROOT / FOLDER / f"{name}.md").read_text()
    assert build_page(text, PAGES[name]) == text, "`invoke docs --build` writes it again"


@pytest.mark.parametrize("model", [Settings, FunctionConfig])
def test_every_key_says_what_it_is(model: type[Document]) -> None:
    """In its own docstring, or in that of what it takes; what kind a trigger is needs no words."""
    schema = describe_document(model)
    parts = {"": schema, **{name: part for name, part in schema["$defs"].items() if "properties" in part}}
    silent = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, content in part["properties"].items()
        if "description" not in content and "$ref" not in json.dumps(content) and not {"const", "enum"} & content.keys()
    ]
    assert not silent
