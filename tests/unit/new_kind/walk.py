"""Adds a kind of trigger to the table, and goes with it through every floor; a program of its own, see test_kinds.py.

What is done to the packages' paths stands for the three modules lying where those of other kinds do.
"""

import json
import sys
import tempfile
from pathlib import Path

import stack.config.trigger
import stack.plan.trigger
import stack.processor.trigger
from stack import contract

HERE = Path(__file__).parent
contract.KINDS["count"] = "count"
stack.config.trigger.__path__.append(str(HERE / "config"))
stack.plan.trigger.__path__.append(str(HERE / "plan"))
stack.processor.trigger.__path__.append(str(HERE / "processor"))

from stack.config.document import parse_model  # noqa: E402
from stack.config.function import FunctionConfig  # noqa: E402
from stack.config.settings import Settings  # noqa: E402
from stack.config.source import Function  # noqa: E402
from stack.dashboard.form.trigger import add_trigger, apply_form, lay_out  # noqa: E402
from stack.errors import ConfigError  # noqa: E402
from stack.plan import template  # noqa: E402
from stack.plan.function import complete_function, own_queues, processor_document  # noqa: E402
from stack.plan.scaffold import next_steps, plan_scaffold  # noqa: E402
from stack.plan.scale import find_limits  # noqa: E402
from stack.plan.topology import SOURCE_NOTES, BrokerFacts, Node, draw_topology  # noqa: E402
from stack.processor.configuration import parse_function  # noqa: E402
from stack.processor.delivery import DeliveryQueue  # noqa: E402
from stack.processor.event import EventForm  # noqa: E402
from stack.processor.source.opener import open_source, preload  # noqa: E402
from stack.processor.stats import WorkerStats  # noqa: E402
from stack.processor.status import SourceReport  # noqa: E402
from stack.processor.trigger.registry import open_builder  # noqa: E402
from stack.processor.wire import pack_message, unpack_message  # noqa: E402
from stack.processor.worker_spec import plan_workers  # noqa: E402
from stack.run.creation import list_templates  # noqa: E402

SPEC = {"disableDefaultHTTPTrigger": True, "triggers": {"numbers": {"kind": "count", "attributes": {"upTo": 2}}}}
DOCUMENT = {"metadata": {"name": "f"}, "spec": {"handler": "main:handler", "minReplicas": 0, "maxReplicas": 2, **SPEC}}


def walk_config() -> FunctionConfig:
    """Parse it, and see its mistakes told with their paths."""
    wrong = {"spec": {"triggers": {"t": {"kind": "count", "attributes": {"upto": 0, "upTwo": 1}}}}}
    try:
        parse_model(FunctionConfig, wrong, name="function.yaml")
    except ConfigError as error:
        assert any("spec.triggers.t.attributes.upTwo" in problem for problem in error.problems), error.problems
    else:
        raise AssertionError("a wrong trigger was taken")
    return parse_model(FunctionConfig, DOCUMENT, name="function.yaml")


def walk_plan(config: FunctionConfig) -> str:
    """Plan it, draw it, and return what the processor is told."""
    plan = complete_function(Function("f", "functions/f", config, ()), "main:handler", settings=Settings())
    assert own_queues(plan) == () and not plan.uses_broker_account and not plan.needs_key
    assert find_limits(plan.spec).least == 1, "nothing tells the scaler to wake it"
    member = type(
        "Member", (), {"name": "f", "namespace": "n", "triggers": plan.triggers, "outputs": {}, "state": "ready"}
    )()
    assert Node("source", "Counter") in draw_topology([member], BrokerFacts(), mentions={}).nodes
    assert SOURCE_NOTES["Counter"] == "on and on"
    return processor_document(plan)


def walk_scaffold(templates: Path) -> None:
    """Begin a function with it."""
    folder = templates / "new-function" / "count"
    folder.mkdir(parents=True)
    folder.joinpath("function.yaml").write_text(json.dumps({"metadata": {"name": "{{ name }}"}, "spec": SPEC}))
    folder.joinpath("main.py").write_text("def handler(context, event):\n    return event.body\n")
    folder.joinpath("test_main.py").write_text("")
    template._environment().loader.searchpath.append(str(templates))  # type: ignore[union-attr]
    assert b'"name": "g"' in plan_scaffold("g", "count")["function.yaml"]
    assert [command for command, _ in next_steps("g", "count", test="pytest")][1] == "invoke deploy-function g"
    assert "Counter" in [one.title for one in list_templates()]


def walk_form() -> None:
    """Add it in the form, and write its attribute."""
    text = add_trigger("metadata: {name: f}\n", "count")
    (card,) = lay_out(text)
    assert card.kind == "count" and "t.0.attributes.upTo" in [cell.name for cell in card.cells]
    assert "upTo: 7" in apply_form(text, {"t.0.attributes.upTo": ["7"]}).text


def walk_processor(document: str) -> list[bytes]:
    """Return the bodies of the events that its source brings."""
    function = parse_function(json.loads(document), secrets=Path(), folder=Path())
    specs = plan_workers(function)
    preload(specs)
    queue = DeliveryQueue()
    source = open_source(specs[0], function, queue, SourceReport(lambda *_: None, WorkerStats()))
    source.start()
    build = open_builder(function.triggers[0], EventForm())
    messages = [delivery.message for _ in range(2) if (delivery := queue.get())]
    return [build(unpack_message(pack_message(message))).body for message in messages]


if __name__ == "__main__":
    walk_form()
    with tempfile.TemporaryDirectory() as folder:
        walk_scaffold(Path(folder))
    assert walk_processor(walk_plan(walk_config())) == [b"1", b"2"]
    sys.stdout.write("done\n")
