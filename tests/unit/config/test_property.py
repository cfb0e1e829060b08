"""Whatever a function.yaml or a source holds, it is a function or an error that says why not."""

import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stack.config.document import Document, find_ignored
from stack.config.function import FunctionConfig, Spec
from stack.config.introspect import known_keys
from stack.config.settings import Settings
from stack.config.source import load_function
from stack.config.trigger.http import HttpAttributes, HttpTrigger
from stack.config.trigger.mqtt import MqttAttributes
from stack.config.trigger.rabbitmq import RabbitAttributes
from stack.errors import StackError
from stack.plan.function import plan_function, processor_document
from stack.plan.stack import plan_service
from tests.unit.plan.samples import make_vault

MODELS: tuple[type[Document], ...] = (
    *(FunctionConfig, Spec, HttpTrigger, HttpAttributes, RabbitAttributes, MqttAttributes),
    *(field.annotation for field in Spec.model_fields.values() if isinstance(field.annotation, type)),
)
KEYS = sorted({key for model in MODELS if hasattr(model, "model_fields") for key in known_keys(model)} | {"t", "0"})
KINDS = ("http", "rabbit-mq", "mqtt", "cron", "kafka", "10s", "main:handler", "python", "/a", "iot/#", "YQ==", "git")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.binary(max_size=3)
    | st.sampled_from(KINDS)
    | st.text(max_size=5)
)
keys = st.sampled_from(KEYS) | st.sampled_from(KEYS).map(str.upper) | scalars
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
sections = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
documents = st.fixed_dictionaries({}, optional={"spec": sections, "metadata": sections})
texts = documents.map(lambda one: yaml.dump(one)) | values.map(lambda one: yaml.dump(one))
texts |= st.text(max_size=60) | st.text("[]{}:,-&*!#|>'\"\n ab01~?%@`=<", max_size=60)


def load(**files: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name, "functions", "a")
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file.replace("_", ".")).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            function = load_function(folder)
            list(find_ignored(function.config))
            plan = plan_function(function, Settings())
            processor_document(plan)
            plan_service(plan, Settings(), image="a", vault=make_vault(), is_deployed=True)
        except StackError as error:
            assert str(error).encode()


@settings(deadline=None)
@given(texts)
@example("[" * 100_000)
@example("- " * 5_000)
@example("spec: &a {triggers: *a}")
@example("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n" + "".join(f"d{n}: &d{n} [*c, *c]\n" for n in range(9)))
@example("spec: {replicas: 0b_}")
@example(f"spec: {{replicas: {'9' * 5000}}}")
@example("spec: !!timestamp x")
@example("spec: {description: 2001-99-99, env: !!set {a}}")
def test_any_text_is_a_function_or_an_error(text: str) -> None:
    load(function_yaml=text, main_py="")


@settings(deadline=None)
@given(texts, st.sampled_from(("function.yaml: ", "")))
def test_any_block_in_a_source_is_a_function_or_an_error(text: str, key: str) -> None:
    block = "\n".join(f"# {line}" for line in (key + text.replace("\n", "\n ")).split("\n"))
    load(function_yaml="spec: {handler: 'main:handler'}", main_py=f"# @nuclio.configure\n{block}")


@settings(deadline=None)
@given(st.text(string.printable, max_size=80))
def test_any_source_is_a_function_or_an_error(source: str) -> None:
    load(main_py=f"#@nuclio.configure{source}")
