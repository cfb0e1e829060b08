"""Who is told tracebacks and logs: Tidegate's own programs, unless the trigger says otherwise."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from stack.contract import prove
from tests.process.processor.conftest import Start
from tests.process.processor.running import Processor

KEY = bytes(range(32))


def start_raises(start: Start, tmp_path: Path, workers: int = 1, **attributes: Any) -> Processor:
    web = {"kind": "http", "numWorkers": workers, "attributes": {"hideTraceback": None, "hideLogs": None} | attributes}
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    (folder / "broker.signature-key").write_text(KEY.hex())
    return start("raises", folder=folder, triggers={"web": web})


@pytest.mark.parametrize("workers", [1, 2])
def test_a_proof_shows_traceback_and_log(start: Start, tmp_path: Path, workers: int) -> None:
    processor = start_raises(start, tmp_path, workers)
    own = {"X_Tidegate_Caller": prove(KEY, time.time()), "X_Nuclio_Log_Level": "debug"}
    for stranger in ({}, own | {"X_Tidegate_Caller": prove(b"guessed", time.time())}, {"X_Nuclio_Log_Level": "debug"}):
        for _ in range(2):
            answer = processor.ask("/fail", **stranger)
            assert (answer.status, b"secret of the house" in answer.body) == (500, False)
            assert "x-nuclio-logs" not in answer.headers
        answer = processor.ask("/fail", **own)
        assert b"ValueError: secret of the house" in answer.body
        assert "Exception caught" in json.loads(answer.headers["x-nuclio-logs"])[-1]["message"]


def test_attributes_win(start: Start, tmp_path: Path) -> None:
    own = {"X_Tidegate_Caller": prove(KEY, time.time()), "X_Nuclio_Log_Level": "debug"}
    answer = start_raises(start, tmp_path, hideTraceback=True, hideLogs=True).ask("/fail", **own)
    assert b"secret" not in answer.body and "x-nuclio-logs" not in answer.headers
    answer = start_raises(start, tmp_path, hideTraceback=False, hideLogs=False).ask("/fail", X_Nuclio_Log_Level="debug")
    assert b"secret" in answer.body and "x-nuclio-logs" in answer.headers
