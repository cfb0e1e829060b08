"""Changes to a function.yaml that keep what its author wrote beside them."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from stack.config.yaml_edit import remove_value, rename_key, set_value
from stack.config.yaml_loader import find_line, parse_mapping
from stack.errors import ConfigError

_SOURCE = """\
# The echo.
metadata:
  name: echo  # its name
spec:
  # What is called.
  handler: main:handler
  env: [{name: A, value: b}]
  triggers:
    web:
      kind: http

  # How it is built.
  build:
    functionSourceCode: |
      abc
# The end.
"""

_KEYS = some.sampled_from(["a", "b", "c.d", "e f"])
_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.sampled_from(["", "x", "1", "a: b", "two\nlines\n", "#"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = some.dictionaries(_KEYS, _VALUES, max_size=3)
_PATHS = some.lists(_KEYS, min_size=1, max_size=3).map(tuple)


def test_only_the_value_changes() -> None:
    changed = set_value(_SOURCE, ("spec", "handler"), "other:handler")
    assert changed == _SOURCE.replace("main:handler", "other:handler")


def test_a_new_key_stands_at_the_end_of_its_mapping() -> None:
    assert set_value(_SOURCE, ("spec", "disable"), True) == _SOURCE.replace("# The end", "  disable: true\n# The end")


def test_what_leads_to_a_key_is_made() -> None:
    changed = set_value(_SOURCE, ("metadata", "labels", "nuclio.io/project-name"), "iot")
    added = "  labels:\n    nuclio.io/project-name: iot\n"
    assert changed == _SOURCE.replace("# its name\n", f"# its name\n{added}")


def test_a_block_is_replaced_as_a_whole_and_comments_behind_it_stay() -> None:
    changed = set_value(_SOURCE, ("spec", "triggers"), {"clock": {"kind": "cron"}})
    assert "http" not in changed
    assert "    clock:\n      kind: cron\n\n  # How it is built.\n" in changed


def test_a_key_goes_without_its_neighbours() -> None:
    changed = remove_value(_SOURCE, ("spec", "triggers"))
    assert changed == _SOURCE.replace("  triggers:\n    web:\n      kind: http\n", "")
    assert remove_value(_SOURCE, ("spec", "nothing", "there")) == _SOURCE


def test_an_empty_text_becomes_a_document() -> None:
    assert set_value("# Nothing yet.\n", ("spec", "disable"), True) == "# Nothing yet.\nspec:\n  disable: true\n"


def test_an_anchor_that_others_need_is_written_out() -> None:
    changed = set_value("a: &x {b: 1}\nc: *x\n", ("a",), 2)
    assert yaml.safe_load(changed) == {"a": 2, "c": {"b": 1}}


def test_keys_count_in_any_case() -> None:
    assert set_value("Spec:\n  Handler: a:b\n", ("spec", "handler"), "c:d") == "Spec:\n  Handler: c:d\n"
    assert remove_value("Spec:\n  Handler: a:b\n  env: []\n", ("spec", "handler")) == "Spec:\n  env: []\n"


def test_what_is_no_mapping_is_refused() -> None:
    for source in ("- a\n", "a: [", "a: 1\na: 2\n"):
        with pytest.raises(ConfigError):
            set_value(source, ("a",), 1)


@given(_DOCUMENTS, _PATHS, _VALUES, some.sampled_from([None, True, False]))
def test_a_changed_text_says_what_it_should(
    document: dict[str, Any], path: tuple[str, ...], value: Any, style: bool | None
) -> None:
    source = yaml.safe_dump(document, default_flow_style=style, sort_keys=False)
    changed = parse_mapping(set_value(source, path, value), "changed")
    inner = changed
    for key in path:
        inner = inner[key]
    assert inner == value
    assert {key: item for key, item in changed.items() if key != path[0]} == {
        key: item for key, item in document.items() if key != path[0]
    }
    removed = parse_mapping(remove_value(set_value(source, path, value), path), "removed")
    for key in path[:-1]:
        removed = removed[key]
    assert path[-1] not in removed


def test_the_only_key_of_a_mapping_and_one_in_braces_go_without_the_comments_of_others() -> None:
    changed = remove_value(_SOURCE, ("spec", "triggers", "web"))
    assert changed == _SOURCE.replace("  triggers:\n    web:\n      kind: http\n", "  triggers: {}\n")
    inner = remove_value("# A\na: {b: 1, c: 2}\n# B\n", ("a", "b"))
    assert inner == "# A\na:\n  c: 2\n# B\n"


def test_a_key_is_renamed_where_it_is() -> None:
    changed = rename_key(_SOURCE, ("spec", "triggers", "web"), name="a: b")
    assert changed == _SOURCE.replace("web:", "'a: b':")


@pytest.mark.parametrize(
    ("path", "line"),
    [(("metadata", "name"), 3), (("spec", "env", "0", "value"), 7), (("spec", "triggers", "other"), 8), ((), 1)],
)
def test_lines_are_found(path: tuple[str, ...], line: int) -> None:
    assert find_line(_SOURCE, path) == line
