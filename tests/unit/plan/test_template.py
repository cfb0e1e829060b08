"""What templates make of values."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from stack.plan.template import fill, write_block

UNFIT = "".join(map(chr, (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)))


@given(st.text())
@example(UNFIT)
def test_any_text_is_itself_again_in_yaml(text: str) -> None:
    written = fill("new-function/http/function.yaml", {"name": text, "runtime": "python"}).decode()
    assert yaml.safe_load(written)["metadata"]["name"] == text.replace("$", "$$")
    assert not set(UNFIT).intersection(written)


@pytest.mark.parametrize("text", ["12e4567", "0x1f", "1_000", "yes", "on", "null", "~", "", "1:30", " a ", "ü", "x\ny"])
def test_a_text_of_a_block_is_no_number_for_any_reader(text: str) -> None:
    """Some take for numbers and truth values what PyYAML takes for texts."""
    assert write_block({"key": text}).startswith('key: "')


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_any_text_is_itself_again_in_a_block(value: dict[str, object]) -> None:
    assert yaml.safe_load(write_block(value)) == value
