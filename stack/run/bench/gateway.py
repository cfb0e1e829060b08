"""Requests per second through the gateway, and to the same worker directly."""

from contextlib import ExitStack
from functools import partial

import yaml

from stack.plan import gateway
from stack.plan.bench import OWN, Figures
from stack.plan.function import image_repository, service_name
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.http import load, require_wrk
from stack.run.bench.processor import http_trigger
from stack.run.workspace import write_file

# No function of the user's: its images are removed at the end.
_NAME = "tidegate-bench-gateway"
_CODE = b"def handler(context, event):\n    return event.body\n"


def open_gateway(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare the two ways to one worker, both within Docker's network.

    A published port is left out of both: its proxy takes as much of a core as the worker or the gateway.

    Raises:
        HostError: wrk is not here, and cannot be installed.
    """
    require_wrk()
    root = bed.stack.workspace.root
    spec = {"handler": "main:handler", "triggers": {"web": http_trigger(gateway.PORT)}}
    write_file(root / "functions" / _NAME / "function.yaml", yaml.safe_dump({"spec": spec}).encode())
    write_file(root / "functions" / _NAME / "main.py", _CODE)
    bed.run_task("deploy-function", _NAME)
    stack.callback(_forget, bed)
    addresses = _find_addresses(bed)

    def measure(service: str) -> Figures:
        # The worker takes any path.
        return {"rate": load(f"http://{addresses[service]}:{gateway.PORT}/{_NAME}/", bed.scale.seconds)}

    return {OWN: partial(measure, gateway.SERVICE), "direct": partial(measure, service_name(_NAME))}


def _find_addresses(bed: Bed) -> dict[str, str]:
    """Return the address of each service in Docker's network."""
    engine = bed.stack.engine
    containers = engine.containers()
    addresses = engine.addresses(containers)
    return {one.service: addresses[one.id] for one in containers if one.id in addresses}


def _forget(bed: Bed) -> None:
    bed.run_task("delete-function", _NAME, "--yes")
    bed.stack.engine.remove_images([f"{image_repository(_NAME)}:latest"])
