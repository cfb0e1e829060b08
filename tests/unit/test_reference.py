"""The reference pages say what the models, the tasks, the API and the metrics are now."""

from pathlib import Path

import pytest

from stack.dev.reference.pages import FOLDER, PAGES, build_page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_not_stale(name: str) -> None:
    text = (ROOT / FOLDER / f"{name}.md").read_text()
    assert build_page(text, PAGES[name]) == text, "`invoke docs --build` writes it again"
