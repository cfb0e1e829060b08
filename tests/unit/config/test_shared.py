"""functions/.shared: which of it a function imports, and what follows from that."""

from base64 import b64encode
from pathlib import Path

import pytest

from stack.config.settings import Settings
from stack.config.source import load_function
from stack.plan.function import plan_function
from stack.plan.stack_image import function_image, render_function
from stack.run.node_modules import write_node_modules
from stack.state.workspace import Workspace
from tests.unit.plan.test_image import inputs

FILES = {
    "plant/__init__.py": "from units import celsius\n",
    "plant/names.py": "",
    "plant/index.js": "exports.name = 'oven';\n",
    "units.py": "def celsius(): ...\n",
    "units.js": "require('plant');\n",
    "other.py": "",
    "lone/index.js": "",
    "README.md": "",
}


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / "functions" / ".shared" / name, text)
    return tmp_path / "functions"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def find(functions: Path, **files: str) -> list[str]:
    folder = functions / "thermo"
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        write(folder / f"{stem}.{suffix}", text)
    return [file.path for file in load_function(folder).shared]


PLANT = ["plant/__init__.py", "plant/index.js", "plant/names.py"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import plant\n", [*PLANT, "units.py"]),
        ("from plant.names import oven\n", [*PLANT, "units.py"]),
        ("def handler(c, e):\n    from units import (\n        celsius)\n", ["units.py"]),
        ("import json, other as o\n", ["other.py"]),
        ("importlib.import_module('other')\n", ["other.py"]),
        ("import json  # not other\nplant = 1\nimport otherwise\n", []),
        ("importlib.import_module(name='other')\nimport json \\\n    , units\n", ["other.py", "units.py"]),
        ("__import__('other')\n", ["other.py"]),
        ("try: import other\nexcept ImportError: pass\n", ["other.py"]),
        ("from json import other\nimport lone\n", []),
    ],
)
def test_what_a_function_in_python_imports(functions: Path, text: str, found: list[str]) -> None:
    assert sorted(find(functions, main_py=text)) == sorted(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("const { name } = require('plant');\n", PLANT),
        ('import { name } from "plant/index.js";\n', PLANT),
        ("await import('units');\n", [*PLANT, "units.js"]),
        ("require('plant.js');\n", PLANT),
        ("require ('plant'); await import ( 'lone' );\n", [*PLANT, "lone/index.js"]),
        ("createRequire(import.meta.url)('plant');\n", PLANT),
        ("require.resolve('plant');\n", PLANT),
        ("require(\n  'plant',\n);\n", PLANT),
        ("require('./plant'); const plant = 'units';\n", []),
    ],
)
def test_what_a_function_in_javascript_imports(functions: Path, text: str, found: list[str]) -> None:
    write(functions / "thermo" / "function.yaml", "spec: {runtime: nodejs}")
    assert sorted(find(functions, main_js=text)) == sorted(found)


def test_source_in_the_configuration_counts(functions: Path) -> None:
    code = b64encode(b"import units\n").decode()
    write(functions / "thermo" / "function.yaml", f"spec: {{build: {{functionSourceCode: {code}}}}}")
    assert find(functions) == ["units.py"]


def test_own_module_of_that_name_is_the_one(functions: Path) -> None:
    assert find(functions, main_py="import units\n", units_py="") == []


def test_data_of_that_name_is_no_module(functions: Path) -> None:
    write(functions / "thermo" / "plant" / "limits.yaml", "")
    assert find(functions, main_py="import units\nimport plant\n", units_yaml="", units_md="") == [*PLANT, "units.py"]
    write(functions / "thermo" / "plant" / "own.py", "")
    assert find(functions, main_py="import plant\n") == []


def test_image_has_it_and_changes_with_it_alone(functions: Path) -> None:
    def name_images() -> list[str]:
        plans = [plan_function(load_function(functions / name), Settings()) for name in ("thermo", "plain")]
        return [function_image(plan, inputs()) for plan in plans]

    write(functions / "thermo" / "main.py", "import units\n")
    write(functions / "plain" / "main.py", "import json\n")
    before = name_images()
    write(functions / ".shared" / "other.py", "changed = True\n")
    assert name_images() == before
    write(functions / ".shared" / "units.py", "changed = True\n")
    after = name_images()
    assert (after[0] != before[0], after[1]) == (True, before[1])
    plan = plan_function(load_function(functions / "thermo"), Settings())
    dockerfile = render_function(plan, inputs())["functions/thermo/Dockerfile"].decode()
    assert 'COPY --from=shared --chown=65532:65532 ["units.py", "/opt/nuclio/"]\nCOPY' in dockerfile


def test_node_js_finds_it_on_this_machine(functions: Path) -> None:
    workspace = Workspace(functions.parent)
    write_node_modules(workspace)
    modules = functions / "node_modules"
    assert (modules / "plant/index.js").read_text() == FILES["plant/index.js"]
    (functions / ".shared/units.js").unlink()
    write(functions / ".shared/added.js", "")
    write_node_modules(workspace)
    assert not (modules / "units.js").is_symlink()
    assert (modules / "added.js").exists()
