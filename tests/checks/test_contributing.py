"""The pages for those who work on Tidegate name files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_are_named_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:stack|templates|tests|docs)(?:/[\w.-]+)+/?)`", text)
    assert len(named) > 20
    # Pictures are there once the tests have run.
    assert not [name for name in named if not (ROOT / name).exists() and "/.screenshots" not in name]
