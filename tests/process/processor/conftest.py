from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.process.processor.running import FUNCTIONS, Processor, run_processor

Start = Callable[..., Processor]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processors that end with the test; by default one waits until it is ready."""
    with ExitStack() as stack:

        def start_one(case: str, *, ready: bool = True, folder: Path | None = None, **spec: Any) -> Processor:
            home = tmp_path / f"processor-{len(list(tmp_path.iterdir()))}"
            home.mkdir()
            processor = stack.enter_context(run_processor(folder or home, spec, FUNCTIONS / case))
            return processor.wait_until_ready() if ready else processor

        yield start_one
