"""A plugin of pytest: tests in functions/ import what is in functions/.shared, as functions themselves do."""

import sys
from pathlib import Path

_FUNCTIONS, _SHARED = "functions", ".shared"


def pytest_collect_file(file_path: Path) -> None:
    """Make what is shared importable, after the test's own folder, before a test's module is imported."""
    for folder in file_path.parents:
        shared = folder / _SHARED
        if folder.name == _FUNCTIONS and shared.is_dir() and str(shared) not in sys.path:
            sys.path.append(str(shared))
