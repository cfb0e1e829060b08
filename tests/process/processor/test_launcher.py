"""The file that a function's container runs, before the processor is loaded."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.processor.running import PATIENCE, ROOT

# Process 1 is what it stands for, which no signal ends by itself.
IGNORING = "import os, signal, sys\nfor number in (2, 15): signal.signal(number, signal.SIG_IGN)\n"
LOADING = "import time\nprint('loads', flush=True)\ntime.sleep(120)\n\ndef main():\n    return 3\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_while_it_loads_the_processor(tmp_path: Path, number: signal.Signals) -> None:
    launcher = shutil.copy(ROOT / "templates/images/processor/processor", tmp_path)
    package = tmp_path / "stack/processor"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(LOADING)
    start = f"{IGNORING}os.execv(sys.executable, [sys.executable, {str(launcher)!r}])"
    environment = {**os.environ, "PYTHONPATH": ""}
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        assert process.stdout.readline() == b"loads\n"
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == 128 + number
