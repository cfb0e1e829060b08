"""Functions as workloads."""

from typing import Any

from stack.config.settings import Settings
from stack.plan.function import plan_function
from stack.plan.kubernetes.workload import Workload
from stack.plan.stack import plan_service
from tests.unit.plan.samples import make_function, make_vault


def make_workload(name: str = "thermo", *, settings: Settings | None = None, **spec: Any) -> Workload:
    chosen = settings or Settings()
    plan = plan_function(make_function(name, **spec), chosen)
    service = plan_service(plan, chosen, image=f"{plan.repository}:1", vault=make_vault(), is_deployed=True)
    return Workload(service, service.image, chosen)
