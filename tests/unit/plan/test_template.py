"""What templates make of values."""

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from stack.plan.template import fill

UNFIT = "".join(map(chr, (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)))


@given(st.text())
@example(UNFIT)
def test_any_text_is_itself_again_in_yaml(text: str) -> None:
    written = fill("new-function/http/function.yaml", {"name": text, "runtime": "python"}).decode()
    assert yaml.safe_load(written)["metadata"]["name"] == text.replace("$", "$$")
    assert not set(UNFIT).intersection(written)
