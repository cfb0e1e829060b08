"""In which order a rollout sees to what has come up and what has not."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from stack.run import rollout as module
from stack.run.rollout import Rollout


def make_service(name: str) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(name=name, service=f"function-{name}"))


def test_what_failed_is_as_before_when_the_others_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes them may be interrupted, and then nothing more would be seen to."""
    good, bad, slow = map(make_service, ("good", "bad", "slow"))
    restored: list[Any] = []
    failures: dict[str, str] = {}

    def watch(_: Rollout) -> Iterator[Mapping[str, str]]:
        yield {"function-good": "", "function-bad": "function-bad ended."}

    monkeypatch.setattr(module, "lock", lambda *_: nullcontext())
    monkeypatch.setattr(module, "advise_start", lambda *_: "")
    monkeypatch.setattr(Rollout, "_watch", watch)
    monkeypatch.setattr(Rollout, "restore", lambda _, failed: restored.extend(failed))
    stack: Any = SimpleNamespace(workspace=None)
    progress: Any = SimpleNamespace(fail=failures.__setitem__)
    rollout = Rollout(stack, (good, bad, slow), progress, pending=[good, bad, slow])
    assert next(rollout.wait()) == [good]
    assert (restored, failures, rollout.pending) == ([bad], {"bad": "function-bad ended."}, [slow])
