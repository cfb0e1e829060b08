"""What runs elsewhere than here: its files are read, and name what there is."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_workflow_types_what_the_readme_says() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    job = workflow["jobs"]["readme"]
    readme = (ROOT / "README.md").read_text()
    for task in job["strategy"]["matrix"]["task"]:
        assert f"./bootstrap provision {task}" in readme
    assert "./bootstrap provision ${{ matrix.task }}" in [step.get("run") for step in job["steps"]]


def test_hooks_pin_what_the_locks_do_not() -> None:
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in document["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in document["repos"]} == {"local"}
    assert all("@" in one for hook in hooks for one in hook.get("additional_dependencies", ()))
    assert {hook["id"] for hook in hooks} >= {
        "ruff-check",
        "ruff-format",
        "mypy",
        "codespell",
        "shellcheck",
        "prettier",
    }
