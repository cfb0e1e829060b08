"""The file that a container runs."""

import runpy
import signal
import sys

import pytest

from stack.plan.template import TEMPLATES

FILE = TEMPLATES / "images/processor/processor"


def test_a_process_that_a_handler_spawns_is_no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = signal.getsignal(signal.SIGTERM)
    # The name that multiprocessing gives it in the new process.
    runpy.run_path(str(FILE), run_name="__mp_main__")
    assert signal.getsignal(signal.SIGTERM) is before
    assert "/opt/tidegate" in sys.path
