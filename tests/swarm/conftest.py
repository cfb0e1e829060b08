"""Three machines that are namespaces of this one, a Swarm of them, and a stack on it."""

import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.docker.foundation import share
from tests.docker.share import Share
from tests.docker.workspace import ROOT
from tests.swarm.lab import Lab, NodeWorkspace, find_problem, open_lab

__all__ = ["share"]

# By this machine's engine, which reaches registries or archives.
_PREPARE = """
from stack.docker.image import Builder
from stack.docker.stack import open_stack
from stack.plan.stack_image import stack_images
stack = open_stack()
Builder(stack.workspace, stack.engine, stack.inputs).prepare_stack()
print(*stack_images(stack.inputs))
"""


# Where no image is there yet, each is built first.
_SECONDS = 900
# The file that takes longest begins on one worker, the next on the other. A worker with two tests or fewer before it is
# given one more file at once, so that what follows is short.
_ORDER = ("test_node_loss.py", "test_stack.py", "test_lab.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = [item for item in items if "lab" in getattr(item, "fixturenames", ())]
    items.sort(key=_place)
    for item in own:
        item.add_marker(pytest.mark.timeout(_SECONDS))
    if own and (problem := find_problem()):
        for item in own:
            item.add_marker(pytest.mark.skip(reason=problem))


def _place(item: pytest.Item) -> int:
    name = item.path.name
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the engines printed to the report of a failure."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        report.sections += [(f"engine of {node.name}", node.log) for node in lab.nodes]
    return report


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A Swarm of three managers; the first alone has images."""
    with open_lab() as lab:
        lab.form_swarm()
        yield lab


@pytest.fixture(scope="session")
def workspace(lab: Lab, share: Share) -> NodeWorkspace:
    """A workspace on the first node, which has the images that every stack stands on; nothing runs."""
    workspace = lab.make_workspace()
    workspace.configure(engine="swarm", bind="0.0.0.0", plaintext=True, gateway={"login": "none"})
    environment = {name: value for name, value in workspace.environment().items() if name != "DOCKER_HOST"}
    command = [sys.executable, "-c", _PREPARE]
    with share.turn("foundation"):
        prepared = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert prepared.returncode == 0, prepared.stderr
    lab.load(prepared.stdout.split(), lab.nodes[:1])
    return workspace


@pytest.fixture(scope="session")
def gateway_image(lab: Lab, workspace: NodeWorkspace) -> str:
    """The image of the gateway, which every node has: no registry could give it to them."""
    listed = workspace.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "tidegate/gateway")
    (image,) = listed.stdout.split()
    lab.load([image], lab.nodes[1:])
    return image
