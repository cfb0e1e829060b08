"""Requests per second through the gateway, and to the same worker directly, at a port of this machine of its own."""

from contextlib import ExitStack
from functools import partial

import yaml

from stack.plan.bench import OWN, Figures
from stack.plan.function import image_repository
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.http import load, require_wrk
from stack.run.bench.port import find_port
from stack.run.bench.processor import http_trigger
from stack.run.workspace import write_file

# No function of the user's: its images are removed at the end.
_NAME = "tidegate-bench-gateway"
_CODE = b"def handler(context, event):\n    return event.body\n"


def open_gateway(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare the two ways to one worker, both of which pass Docker's proxy.

    Raises:
        HostError: wrk is not here.
    """
    require_wrk()
    port = find_port()
    root = bed.stack.workspace.root
    trigger = {**http_trigger(8080), "attributes": {"port": port}}
    spec = {"handler": "main:handler", "triggers": {"web": trigger}}
    write_file(root / "functions" / _NAME / "function.yaml", yaml.safe_dump({"spec": spec}).encode())
    write_file(root / "functions" / _NAME / "main.py", _CODE)
    bed.run_task("deploy-function", _NAME)
    stack.callback(_forget, bed)
    gateway = f"http://127.0.0.1:{bed.stack.settings.ports.gateway}/{_NAME}/"

    def measure(url: str) -> Figures:
        return {"rate": load(url, bed.scale.seconds)}

    return {OWN: partial(measure, gateway), "direct": partial(measure, f"http://127.0.0.1:{port}/")}


def _forget(bed: Bed) -> None:
    bed.run_task("delete-function", _NAME, "--yes")
    bed.stack.engine.remove_images([f"{image_repository(_NAME)}:latest"])
