"""What the scaler leaves alone."""

from pathlib import Path

from stack.docker.stack import open_stack
from stack.plan.stack import plan_service
from stack.run.scale import Scaler
from stack.state.lock import lock, rollout_lock
from stack.state.replicas import load_replicas
from stack.state.workspace import Workspace
from tests.unit.plan.samples import make_plan, make_vault


def test_function_that_is_being_rolled_out_is_left_alone(tmp_path: Path) -> None:
    """Its newer containers stand beside older ones, of which the scaler would else stop some."""
    workspace = Workspace(tmp_path)
    stack = open_stack(workspace)
    plan = make_plan(minReplicas=1, maxReplicas=3)
    service = plan_service(plan, stack.settings, image="i", vault=make_vault(), is_deployed=True)
    current = workspace.state / "functions" / f"{plan.name}.json"
    current.parent.mkdir(parents=True)
    current.write_text("what is here would be read")
    with lock(workspace, rollout_lock(plan.name)):
        Scaler(stack).scale(service, 3)
    assert load_replicas(workspace) == {}
