"""Nothing is lost, whatever breaks: `invoke test --chaos --minutes M` runs this for as long as one likes."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.chaos import CODE, CONFIG, NAME, describe_state, play
from tests.docker.workspace import Broker, Workspace

# In a moment there is time for each deed once.
_MINUTES = 1.0


@pytest.mark.timeout(0)
@pytest.mark.slow
def test_every_message_is_handled_or_kept_with_its_reason(
    workspace: Workspace,
    broker: Broker,
    author: Callable[..., Path],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = request.config.getoption("--chaos-seed")
    seed = random.randrange(1 << 32) if seed is None else seed
    minutes = request.config.getoption("--chaos-minutes") or _MINUTES
    author(NAME, CODE, CONFIG)
    workspace.invoke("deploy-function", NAME)
    with capsys.disabled():
        # A worker of pytest-xdist has no other output that is seen.
        print(f"\nchaos for {minutes:g} minutes, seed {seed}", file=sys.stderr)
        account = play(workspace, broker, seconds=minutes * 60, seed=seed)
        print(account.tell(), file=sys.stderr)
    assert len(account.published) > 100
    assert not account.lost, f"seed {seed}: {sorted(account.lost)}\n{describe_state(workspace, broker)}"
    assert len(account.deeds) == 5
    assert all(account.reasons.values())
    assert account.reasons, "a handler that always raises should leave dead letters"
