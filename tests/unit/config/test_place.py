"""Where in a function.yaml its problems are."""

from textwrap import dedent

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.yaml_loader import Finding, find_places, parse_mapping
from stack.errors import ConfigError

_DOCUMENT = "functions/echo/function.yaml"


def _find(source: str) -> tuple[Finding, ...]:
    source = dedent(source)
    with pytest.raises(ConfigError) as caught:
        parse_model(FunctionConfig, parse_mapping(source, _DOCUMENT), name=_DOCUMENT)
    return find_places(source, caught.value.problems, document=_DOCUMENT)


def test_each_problem_has_its_line() -> None:
    found = _find("""\
        metadata:
          labels: {}
        spec:
          runtime: golang
          triggers:
            clock:
              kind: cron
              attributes:
                intervall: 10s
        """)
    assert {(one.path, one.line) for one in found} == {
        ("spec.runtime", 4),
        ("spec.triggers.clock.attributes.intervall", 9),
    }
    assert "'golang' is not supported" in next(one.text for one in found if one.path == "spec.runtime")


def test_a_key_that_is_missing_is_looked_for_where_it_belongs() -> None:
    (found,) = _find("""\
        spec:
          triggers:
            web:
              numWorkers: 1
        """)
    assert (found.line, found.column) == (3, 4)


def test_keys_may_have_dots_and_any_case() -> None:
    problems = (f"{_DOCUMENT}: metadata.annotations.tidegate.io/processor: should be another",)
    source = "Metadata:\n  annotations:\n    tidegate: x\n    tidegate.io/processor: y\n"
    assert find_places(source, problems, document=_DOCUMENT)[0].line == 4


def test_items_of_lists_are_found_by_their_numbers() -> None:
    (found,) = _find("""\
        spec:
          env:
            - name: A
              value: b
            - nam: B
        """)[:1]
    assert found.line == 5


def test_what_is_no_yaml_has_the_place_that_the_reader_tells() -> None:
    (found,) = _find("spec:\n  handler: main:handler\n  handler: other:handler\n")
    assert (found.line, found.column) == (3, 2)
    assert found.text == "the key 'handler' occurs twice"


def test_a_problem_without_a_path_is_that_of_the_whole() -> None:
    assert find_places("", ("functions/echo: the folder's name is wrong",), document=_DOCUMENT) == (
        Finding("", "functions/echo: the folder's name is wrong", 1, 0),
    )


def test_a_text_that_is_too_deep_is_told_and_not_composed() -> None:
    source = "[" * 100_000
    with pytest.raises(ConfigError) as caught:
        parse_mapping(source, _DOCUMENT)
    assert find_places(source, caught.value.problems, document=_DOCUMENT)[0].line == 1
