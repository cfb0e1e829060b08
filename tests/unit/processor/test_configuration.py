"""processor.yaml, its types and its secrets."""

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.configuration import Function, Sink, parse_function, read_function


def parse(spec: dict[str, Any], secrets: Path = Path("/nowhere")) -> Function:
    return parse_function({"metadata": {"name": "f"}, "spec": spec}, secrets=secrets, folder=Path("/opt/nuclio"))


def parse_trigger(**settings: Any) -> Any:
    (trigger,) = parse({"triggers": {"t": {"kind": "http", **settings}}}).triggers
    return trigger


def test_defaults() -> None:
    function = parse({"handler": "main:handler"})
    assert (function.name, function.namespace, function.triggers, function.environment) == ("f", "nuclio", (), {})
    assert function.sink == Sink(level=logging.DEBUG)
    trigger = parse_trigger()
    assert (trigger.workers, trigger.availability_timeout, trigger.termination_timeout) == (1, 10.0, 10.0)


@pytest.mark.parametrize(
    ("settings", "workers"), [({"numWorkers": 3}, 3), ({"maxWorkers": 4}, 4), ({"numWorkers": 0, "maxWorkers": 2}, 2)]
)
def test_workers_are_counted_by_either_name(settings: dict[str, int], workers: int) -> None:
    assert parse_trigger(**settings).workers == workers


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 0.0), (250, 0.25), (-1, 10.0), (None, 10.0)])
def test_availability_timeout(milliseconds: int | None, seconds: float) -> None:
    assert parse_trigger(workerAvailabilityTimeoutMilliseconds=milliseconds).availability_timeout == seconds


def test_names_match_whatever_their_case() -> None:
    attributes = Attributes("a", {"QueueName": "q", "DURABLEQUEUE": False})
    assert attributes.text("queueName") == "q"
    assert attributes.flag("durableQueue", True) is False


def test_old_name_of_the_kind_is_known() -> None:
    assert parse_trigger(kind="rabbitMq").kind == "rabbit-mq"


def test_disabled_trigger_is_left_out() -> None:
    spec = {"triggers": {"a": {"kind": "http", "disabled": True}, "b": {"kind": "http"}}}
    assert [trigger.name for trigger in parse(spec).triggers] == ["b"]


def test_url_may_be_a_secret_and_is_shown_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "broker.url").write_text("amqp://me:p@ss@host:5672/v\n")
    spec = {"triggers": {"t": {"kind": "rabbit-mq", "url": "amqp://open", "secret": "broker.url"}}}
    (trigger,) = parse(spec, tmp_path).triggers
    assert trigger.url == "amqp://me:p@ss@host:5672/v"
    assert trigger.url_to_show == "amqp://host:5672/v"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"triggers": []}, "spec.triggers: should be a mapping"),
        ({"triggers": {"t": "http"}}, "spec.triggers.t: should be a mapping"),
        (
            {"triggers": {"t": {"kind": "http", "numWorkers": "2"}}},
            "spec.triggers.t.numWorkers: should be a whole number",
        ),
        ({"triggers": {"t": {"kind": "http", "workerTerminationTimeout": "soon"}}}, "not 'soon'"),
        ({"triggers": {"t": {"kind": "http", "secret": "s"}}}, "spec.triggers.t: the secret /nowhere/s cannot be read"),
        ({"env": ["x"]}, "spec.env[0]: should be a mapping"),
        ({"handler": ["x"]}, "spec.handler: should be a text"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(spec)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not YAML"), ("- 1", "should be a mapping"), (None, "No such file or directory")]
)
def test_bad_file_is_one_clear_message(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "processor.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_function(path, secrets=tmp_path, folder=tmp_path)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
keys = st.sampled_from(["handler", "env", "triggers", "loggerSinks", "t", "kind", "numWorkers", "secret", "attributes"])
trees = st.recursive(documents, lambda inner: st.dictionaries(keys, inner, max_size=5), max_leaves=20)


@given(trees)
def test_no_document_does_more_than_be_refused(spec: Any) -> None:
    try:
        parse_function({"metadata": {}, "spec": spec}, secrets=Path("/nowhere"), folder=Path("/nowhere"))
    except ConfigurationError as error:
        assert str(error).startswith(("spec", "metadata"))
