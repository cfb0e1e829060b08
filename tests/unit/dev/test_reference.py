"""The generated part of the reference pages."""

from invoke import Collection

from stack.cli import build_namespace, verb
from stack.dev.reference import build_api_page, build_metric_page, build_page, build_schema_page, build_task_page

SCHEMA = {
    "title": "File",
    "required": ["name"],
    "properties": {
        "name": {"type": ["string", "number", "boolean"], "description": "Who it\nis."},
        "alias": {"type": "string", "description": "This key has no effect on Docker."},
        "pumps": {"type": ["object", "null"], "additionalProperties": {"oneOf": [{"$ref": "#/$defs/Pump"}]}},
        "mode": {"$ref": "#/$defs/Mode", "default": "slow"},
    },
    "$defs": {
        "Mode": {"title": "Mode", "enum": ["slow", "fast"], "description": "How fast."},
        "Pump": {
            "title": "Pump",
            "description": "Moves water.",
            "properties": {
                "kind": {"const": "hand"},
                "strokes": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                "spare": {"anyOf": [{"$ref": "#/$defs/Pump"}, {"type": "null"}]},
            },
        },
    },
}
SCHEMA_PAGE = """\
## The file

| key | value | default | meaning |
| --- | --- | --- | --- |
| `name` | text | required | Who it is. |
| `pumps` | by name: [Pump](#pumpsname-hand) |  | Moves water. |
| `mode` | `slow`, `fast` | `slow` | How fast. |

Taken, and without effect here: `alias`.

## `pumps.NAME (hand)`

Moves water.

| key | value | default | meaning |
| --- | --- | --- | --- |
| `kind` | `hand` |  |  |
| `strokes` | whole number, 1 to 9 | `3` |  |
| `spare` | [Pump](#pumpsname-hand) |  | Moves water. |

"""
TASK_PAGE = """\
## Pumps

### start-pump

Start it.

```text
invoke start-pump [NAME] [--speed=SPEED] [--dry-run]
```

| option | meaning |
| --- | --- |
| `NAME` | which; all \\| none |
| `--speed=SPEED`, `-s` (2) | strokes a second |
| `--dry-run`, `-d` |  |

## For those who work on Tidegate

### dev.check

Check it.

```text
invoke dev.check
```

"""


@verb("name", help={"name": "which; all | none", "speed": "strokes a second"})
def start_pump(_: object, name: str = "", speed: int = 2, dry_run: bool = False) -> None:
    """Start it."""


@verb()
def check(_: object) -> None:
    """Check it."""


def test_parts_of_a_file_are_described_once_under_the_path_to_their_keys() -> None:
    assert build_schema_page(SCHEMA) == SCHEMA_PAGE


def test_tasks_are_described_by_group_with_their_options() -> None:
    assert build_task_page(build_namespace({"Pumps": (start_pump,)}, Collection("dev", check))) == TASK_PAGE


def test_operations_are_described_by_resource() -> None:
    schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Pump"}}}
    parameters = [{"name": "name", "in": "path", "required": True}]
    operation = {
        "tags": ["pumps"],
        "summary": "Replace a pump",
        "parameters": parameters,
        "requestBody": {"content": schema},
        "responses": {"204": {"description": "No Content"}, "default": {"$ref": "anything"}},
    }
    page = build_api_page({"paths": {"/api/pumps/{name}": {"put": operation}}})
    assert "## pumps\n\n### `PUT /api/pumps/{name}`\n\nReplace a pump.\n" in page
    assert "| `name` | path, required |  |\n" in page
    assert "Sends `Pump` (application/json)." in page
    assert page.rstrip().endswith("| 204 | No Content |  |")


def test_metrics_are_described_with_their_labels() -> None:
    page = build_metric_page()
    labels = "`instance`, `trigger_kind`, `trigger_id`, `namespace`, `function`, `project`"
    name = "nuclio_processor_events_in_flight"
    assert f"| `{name}` | gauge | {labels} | Events that are being handled. |\n" in page
    assert f"`nuclio_processor_handled_events_duration_seconds` | histogram | {labels}, `le` |" in page


def test_only_the_part_between_the_comments_is_written() -> None:
    page = build_page("# Pumps\n\nBy hand.\n", lambda: "old\n\n")
    assert page.startswith("# Pumps\n\nBy hand.\n\n<!-- generated")
    newer = build_page(page + "\nBehind.\n", lambda: "new \\1")
    assert newer == page.replace("old", "new \\1") + "\nBehind.\n"
