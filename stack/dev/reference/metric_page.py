"""The reference of a function's metrics, from the page that a processor serves."""

import re
from pathlib import Path

from stack.dev.reference.markdown import build_table, quote
from stack.processor.configuration import parse_function
from stack.processor.metrics import Gauges, render_metrics
from stack.processor.worker_spec import Role, WorkerSpec

_COLUMNS = ("metric", "type", "labels", "meaning")
_HELP, _TYPE = (re.compile(rf"^# {word} (\S+) (.+)$", re.MULTILINE) for word in ("HELP", "TYPE"))
_LABEL = re.compile(r'(\w+)="')
_FUNCTION = {
    "metadata": {"name": "thermo"},
    "spec": {"handler": "main:handler", "runtime": "python", "triggers": {"web": {"kind": "http"}}},
}


def build_metric_page() -> str:
    """Return a table of the metrics."""
    page = _serve()
    types = dict(_TYPE.findall(page))
    rows = [
        (quote(name), types[name], ", ".join(map(quote, _find_labels(page, name))), meaning)
        for name, meaning in _HELP.findall(page)
    ]
    return build_table(_COLUMNS, rows)


def _serve() -> str:
    """Return the page of a function that has handled nothing yet."""
    function = parse_function(_FUNCTION, secrets=Path(), folder=Path())
    specs = [WorkerSpec(trigger, Role.WORKER) for trigger in function.triggers]
    return render_metrics(function, specs, "nuclio-thermo", Gauges())


def _find_labels(page: str, name: str) -> list[str]:
    """Return the labels of a metric's first sample, a histogram's `le` among them."""
    sample = re.search(rf"^{name}(?:_bucket)?\{{(.*)\}}", page, re.MULTILINE)
    return _LABEL.findall(sample[1]) if sample else []
