"""Functions and settings as the plan's tests need them."""

from typing import Any

from stack.config.document import parse_model
from stack.config.environment import SecretContent, SecretRef
from stack.config.function import FunctionConfig
from stack.config.requirements import Requirements
from stack.config.settings import Settings
from stack.config.source import Function, SourceFile
from stack.plan.account import Accounts
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.secret import Vault

KEY = SecretContent(b"k" * 32)
GUEST_ACCOUNTS = Accounts(KEY, GUEST_CREDENTIALS)


def make_function(
    name: str = "thermo",
    *,
    files: tuple[str, ...] = ("main.py",),
    annotations: dict[str, str] | None = None,
    requirements: Requirements | None = None,
    **spec: Any,
) -> Function:
    config = parse_model(
        FunctionConfig, {"metadata": {"annotations": annotations or {}}, "spec": spec}, name="function.yaml"
    )
    sources = tuple(SourceFile(path, "-:0") for path in files)
    found = (requirements,) if requirements else ()
    return Function(name, f"functions/{name}", config, sources, requirements=found)


def make_plan(name: str = "thermo", *, files: tuple[str, ...] = ("main.py",), **spec: Any) -> FunctionPlan:
    return plan_function(make_function(name, files=files, **spec), Settings())


def make_vault(**values: bytes) -> Vault:
    """Return a vault with a stack key and other secrets; `db_user` is the key `user` of `db`."""
    contents = {SecretRef(*name.split("_", 1)): SecretContent(value) for name, value in values.items()}
    return Vault(contents, SecretContent(b"salt"), KEY)
