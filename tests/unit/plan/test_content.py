"""The digest by which a function is told from another version of itself, at whatever site."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from stack.config.settings import Settings
from stack.config.source import load_function
from stack.plan.function import FunctionPlan, plan_function
from stack.state.deployment import Deployment

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make(
    folder: Path, code: str = "def handler(context, event): ...\n", settings: Settings | None = None
) -> FunctionPlan:
    folder = folder / "reader"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function.yaml").write_text("spec: {handler: 'main:handler'}\n")
    (folder / "main.py").write_text(code)
    return plan_function(load_function(folder), settings or Settings())


def test_same_files_have_one_digest_in_each_stack(tmp_path: Path) -> None:
    other = Settings.model_validate({"project": "other", "namespace": "plant"})
    assert make(tmp_path / "one").content == make(tmp_path / "two", settings=other).content
    assert make(tmp_path / "one", "def handler(context, event): return 1\n").content != make(tmp_path / "two").content


def test_deployment_keeps_it_without_the_files(tmp_path: Path) -> None:
    plan = make(tmp_path)
    assert plan.content
    kept = Deployment(
        name="reader",
        image="x:1",
        handler=plan.handler,
        revision=1,
        time=NOW,
        config=plan.function.config,
        files=tuple(one.path for one in plan.function.files),
        content=plan.content,
    )
    assert kept.plan(Settings()).content == plan.content
    # One of before there was a digest is told from nothing, and not from all others.
    assert kept.model_copy(update={"content": ""}).plan(Settings()).content == ""
    assert replace(plan.function, content="x") == plan.function
