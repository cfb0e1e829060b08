"""Options of the whole suite."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files again")
    parser.addoption("--no-docker-skip", action="store_true", help="fail, not skip, where there is no Docker engine")
    parser.addoption("--pictures", type=Path, help="a folder, where the tests of the dashboard leave pictures")
    parser.addoption("--slow", action="store_true", help="run the tests too that take long")
    parser.addoption("--chaos-minutes", type=float, default=0.0, help="how long things are broken (a minute)")
    parser.addoption("--chaos-engine", action="store_true", help="kill this machine's Docker Engine too")
    parser.addoption("--fuzz-minutes", type=float, default=0.0, help="how long odd messages are sent (a fixed number)")
    parser.addoption("--fuzz-seed", type=int, help="send odd messages as in the run that told this seed")
    parser.addoption("--chaos-seed", type=int, help="break things as in the run that told this seed")


def pytest_configure(config: pytest.Config) -> None:
    # A machine that does something else meanwhile is no reason to fail.
    patient = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=patient)
    hypothesis.settings.load_profile("patient")
    # Ctrl-C is tested; a shell ignores it in what runs in its background, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--update-golden"):
        os.environ["UPDATE_GOLDEN"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    named = {Path(config.invocation_params.dir, one.partition("::")[0]).resolve() for one in config.args}
    left_out = [item for item in items if item.get_closest_marker("slow") and item.path not in named]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]
