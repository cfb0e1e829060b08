"""MkDocs's hook: puts the generated part of a reference page where the page has `<!-- generated: NAME -->`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mkdocs.exceptions import PluginError

from stack.config.function import FunctionConfig
from stack.config.schema import describe_document
from stack.config.settings import Settings
from stack.dashboard.api.openapi import make_document
from stack.dev.reference.api_page import build_api_page
from stack.dev.reference.metric_page import build_metric_page
from stack.dev.reference.schema_page import build_schema_page
from stack.dev.reference.task_page import build_task_page
from tasks import namespace

_MARK = re.compile(r"^<!-- generated: (?P<name>\S+) -->$", re.MULTILINE)
GENERATORS: Mapping[str, Callable[[], str]] = {
    "tasks": lambda: build_task_page(namespace),
    "stack-yaml": lambda: build_schema_page(describe_document(Settings)),
    "function-yaml": lambda: build_schema_page(describe_document(FunctionConfig)),
    "http-api": lambda: build_api_page(make_document()),
    "metrics": build_metric_page,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's Markdown with what its marks ask for.

    Raises:
        PluginError: a mark names what there is not.
    """
    return _MARK.sub(_generate, markdown)


def _generate(mark: "re.Match[str]") -> str:
    name = mark["name"]
    if name not in GENERATORS:
        raise PluginError(f"<!-- generated: {name} -->: there are {', '.join(GENERATORS)}")
    return GENERATORS[name]()
