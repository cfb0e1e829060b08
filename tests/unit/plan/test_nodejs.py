"""Functions of Node.js: where their file is, which version they run on, and what is installed for them."""

import json
from pathlib import Path

import pytest

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Images, ImageSource, Settings
from stack.config.source import load_function
from stack.errors import ConfigError
from stack.plan.account import Accounts
from stack.plan.base_image import lay_base_image
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.dockerfile import render_package
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.function_check import find_source
from stack.plan.hints import advise, advise_start, explain
from stack.plan.image import Archive, BaseImages, RuntimeVersion
from stack.plan.inputs import Inputs
from stack.plan.runtime.registry import explain_version, find_runtime
from stack.plan.stack_image import supplier_image
from tests.unit.plan.samples import KEY

REGISTRY = BaseImages(ImageSource.REGISTRY, Archive("", ()))
NODEJS = find_runtime("nodejs")


def packages(codename: str) -> BaseImages:
    return BaseImages(ImageSource.DEBIAN, Archive(codename, (f"deb http://deb.example {codename} main",)))


def load(folder: Path, **files: str) -> FunctionPlan:
    for name, text in {"function.yaml": "spec: {runtime: nodejs}\n", **files}.items():
        path = folder / name.replace("_IN_", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return plan_function(load_function(folder), Settings())


@pytest.mark.parametrize(
    ("handler", "file"),
    [
        ("main:handler", "main.js"),
        ("outputter.js:testHandler", "outputter.js"),
        ("lib/x:read", "lib/x.js"),
        ("./lib/x:read", "lib/x.js"),
        ("main.mjs:handler", "main.mjs"),
        ("a.b:handler", "a.b.js"),
        ("handler", "main.js"),
    ],
)
def test_file_of_a_handler(handler: str, file: str) -> None:
    document = {"spec": {"runtime": "nodejs", "handler": handler}}
    assert parse_model(FunctionConfig, document, name="function.yaml").spec.handler == handler
    expected = "handler.js" if handler == "handler" else file
    assert NODEJS.list_sources(handler)[0] == expected


@pytest.mark.parametrize(
    ("files", "handler", "found"),
    [
        (["main.mjs"], "main:handler", "main.mjs"),
        (["main.mjs", "test.js"], "", "main.mjs"),
        (["read.cjs", "read.test.js", "test.js"], "read:handler", "read.cjs"),
        (["read.js", "test.js"], "", "read.js"),
        (["lib/index.js"], "lib:handler", "lib/index.js"),
    ],
)
def test_file_of_a_handler_is_found(tmp_path: Path, files: list[str], handler: str, found: str) -> None:
    document = f"spec: {{runtime: nodejs, handler: '{handler}'}}"
    contents = {file.replace("/", "_IN_"): "exports.handler = 1" for file in files}
    assert find_source(load(tmp_path / "reads", **{"function.yaml": document, **contents})) == found


@pytest.mark.parametrize("handler", ["a:b:c", "../x:handler", "lib/../../x:handler", "/main:handler", "a b:handler"])
def test_handlers_that_cannot_be(handler: str) -> None:
    with pytest.raises(ConfigError, match=r"spec\.handler: should be file:export, such as main:handler, not "):
        parse_model(FunctionConfig, {"spec": {"runtime": "nodejs", "handler": handler}}, name="function.yaml")


def test_batches_are_refused() -> None:
    """They would come one by one, without a word."""
    triggers = {"web": {"kind": "http", "batch": {"mode": "enable"}}}
    with pytest.raises(ConfigError, match=r"spec\.triggers\.web\.batch: nodejs gets one event at a time, and python"):
        parse_model(FunctionConfig, {"spec": {"runtime": "nodejs:22", "triggers": triggers}}, name="function.yaml")
    triggers["web"]["batch"] = {"mode": "disable"}
    parse_model(FunctionConfig, {"spec": {"runtime": "nodejs", "triggers": triggers}}, name="function.yaml")


def choose(wanted: str, base_images: BaseImages, settings: Settings | None = None) -> RuntimeVersion:
    return NODEJS.choose_version(wanted, settings or Settings(), base_images)


def test_registry_has_each_version() -> None:
    assert choose("", REGISTRY).image == choose("22", REGISTRY).image == "node:22-slim"
    assert choose("20", REGISTRY).image == "node:20-slim"
    mirrored = Settings(images=Images(mirror="mirror.example:5000/", node="library/node:22.12.0-slim"))
    assert choose("24", REGISTRY, mirrored).image == "mirror.example:5000/library/node:24-slim"
    told = explain_version(choose("16", REGISTRY))
    assert told == "asks for Node.js 16 and runs on Node.js 22: the processor needs 18 or newer"


def test_packages_have_the_release_s_own() -> None:
    assert explain_version(choose("20", packages("trixie"))) == explain_version(choose("", packages("trixie"))) == ""
    assert explain_version(choose("22", packages("trixie"))) == (
        "asks for Node.js 22 and runs on Node.js 20, the only one that images.source offers here"
    )
    assert "the Node.js that there is" in explain_version(choose("22", packages("sid")))


def test_release_whose_node_is_too_old(tmp_path: Path) -> None:
    plan = load(tmp_path / "old", main__js="")
    version = choose("", packages("jammy"))
    (problem,) = NODEJS.check_handler(plan.function, plan.handler, path="", source=b"", version=version)
    assert "this system's packages have Node.js 12, and the processor needs 18 or newer" in problem
    assert not NODEJS.check_handler(plan.function, plan.handler, path="", source=b"", version=choose("", REGISTRY))


def render(plan: FunctionPlan) -> tuple[list[str], list[str]]:
    """Return the Dockerfile, and what its build leaves out, as lines."""
    base_image = lay_base_image(plan.function.config, Settings(), base_images=packages("trixie"))
    files = render_package(plan, base_image, processor="tidegate/nodejs:1", has_ca=False)
    dockerfile = files["Dockerfile"].decode()
    return dockerfile.splitlines(), files["Dockerfile.dockerignore"].decode().splitlines()


@pytest.mark.parametrize(
    ("files", "copied", "command"),
    [
        ({}, ["package.json", "/opt/nuclio/"], "install"),
        ({"package-lock__json": "{}", "__npmrc": ""}, ["package.json", "package-lock.json", ".npmrc"], "ci"),
        ({"npm-shrinkwrap__json": "{}"}, ["package.json", "npm-shrinkwrap.json"], "ci"),
    ],
)
def test_packages_are_a_layer_of_their_own(
    tmp_path: Path, files: dict[str, str], copied: list[str], command: str
) -> None:
    plan = load(tmp_path / "packed", package__json="{}", main__js="", node_modules_IN_x__js="", **files)
    lines, left_out = render(plan)
    copy = max(number for number, line in enumerate(lines) if "package.json" in line)
    assert all(one in lines[copy] for one in copied)
    assert lines[copy + 2].strip() == f"cd /opt/nuclio/ && npm {command} --omit=dev"
    assert lines.index("COPY --chown=65532:65532 . /opt/nuclio") > copy
    assert "node_modules" in left_out
    assert not any("node_modules" in file.path for file in plan.function.files)


@pytest.mark.parametrize(
    "package",
    [
        {"dependencies": {"own": "file:lib"}},
        {"dependencies": {"own": "./lib"}},
        {"workspaces": ["lib"]},
        {"scripts": {"postinstall": "node lib/make.js"}},
    ],
)
def test_packages_that_need_the_code_are_installed_after_it(tmp_path: Path, package: dict[str, object]) -> None:
    lines, _ = render(load(tmp_path / "packed", package__json=json.dumps(package), main__js=""))
    code = lines.index("COPY --chown=65532:65532 . /opt/nuclio")
    assert lines[code + 2].strip() == "cd /opt/nuclio/ && npm install --omit=dev"


def test_folder_of_packages_that_is_shipped_stays(tmp_path: Path) -> None:
    plan = load(tmp_path / "shipped", node_modules_IN_x_IN_package__json="{}", main__js="")
    assert "node_modules/x/package.json" in [file.path for file in plan.function.files]
    lines, left_out = render(plan)
    assert not any("npm" in line for line in lines)
    assert "node_modules" not in left_out


def test_source_alone_and_its_block(tmp_path: Path) -> None:
    (tmp_path / "lone").mkdir()
    block = "// @nuclio.configure\n//\n// function.yaml:\n//   spec:\n//     description: said here\n"
    (tmp_path / "lone" / "lone.js").write_text(f"exports.handler = null;\n{block}exports.x = 1;\n")
    function = load_function(tmp_path / "lone")
    assert (function.config.spec.runtime, function.config.spec.handler) == ("nodejs", "lone:handler")
    assert function.config.spec.description == "said here"


def test_runtime_is_that_of_the_file_where_none_is_named(tmp_path: Path) -> None:
    assert load(tmp_path / "plain", function__yaml="{}\n", main__js="").runtime is NODEJS
    assert load(tmp_path / "both", function__yaml="{}\n", main__js="", main__py="").runtime is not NODEJS


def test_one_image_is_shared_by_all_functions_of_a_version(tmp_path: Path) -> None:
    inputs = Inputs(Settings(), REGISTRY, Accounts(KEY, GUEST_CREDENTIALS))
    plans = [
        load(tmp_path / name, function__yaml=f"spec: {{runtime: '{runtime}'}}\n", main__js="", main__py="")
        for name, runtime in (("a", "nodejs"), ("b", "nodejs:22"), ("c", "nodejs:20"), ("d", "python"))
    ]
    names = [
        supplier_image(inputs, lay_base_image(one.function.config, Settings(), base_images=REGISTRY)) for one in plans
    ]
    assert names[0] == names[1] != names[2]
    assert [name.partition(":")[0] for name in names] == ["tidegate/nodejs"] * 3 + ["tidegate/processor"]


def test_what_to_do_about_packages(tmp_path: Path) -> None:
    plan = load(tmp_path / "packed", package__json="{}", main__js="")
    log = 'process "/bin/sh -c cd /opt/nuclio/ && npm install --omit=dev" did not complete successfully: exit code: 1'
    assert advise(plan, log).startswith("Correct functions/packed/package.json;")
    wrong = "/checked/main.js:2\n}\n^\n\nSyntaxError: Unexpected token '}'\n    at wrapSafe (node:internal)\n"
    told = explain(plan, f'{wrong}process "/bin/sh -c node --check /checked/main.js" did not complete')
    assert told == "functions/packed/main.js, line 2: SyntaxError: Unexpected token '}'; correct it, then deploy again."
    assert explain(plan, log) == f"{log}\n{advise(plan, log)}"
    for missing, package in (("amqplib", "amqplib"), ("@a/b/c", "@a/b"), ("left-pad/x.js", "left-pad")):
        told = advise_start(plan, f"Error: Cannot find module '{missing}'\nRequire stack:\n- /opt/nuclio/main.js\n")
        assert (
            told == f"Add {package}, or the package that has it, to functions/packed/package.json, then deploy again."
        )
    assert not advise_start(plan, "Error: Cannot find module './lib'\n")


def test_package_json_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    for name, text in (("comma", '{\n  "dependencies": {"ms": "*",}\n}'), ("empty", "")):
        plan = load(tmp_path / name, package__json=text, main__js="")
        (told,) = NODEJS.check_requirements(plan.function, plan.handler)
        assert told.startswith(f"functions/{name}/package.json, line {2 if text else 1}: ")
    plan = load(tmp_path / "marked", package__json="\ufeff{}", main__js="")
    assert not NODEJS.check_requirements(plan.function, plan.handler)


def check(plan: FunctionPlan, source: str, handler: str = "main:handler") -> tuple[str, ...]:
    version = choose("", REGISTRY)
    return NODEJS.check_handler(plan.function, handler, path="main.js", source=source.encode(), version=version)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("exports.hanlder = () => 1;", "did you mean 'hanlder'?"),
        (
            "exports.run = 1;\nexport const other = 2;\nexport async function third() {}",
            "exports there: other, run, third",
        ),
        ("", "exports there: none"),
    ],
)
def test_export_that_is_not_there(tmp_path: Path, source: str, hint: str) -> None:
    plan = load(tmp_path / "plain", main__js="")
    expected = f"functions/plain/function.yaml: spec.handler: main.js has no 'handler'; {hint}"
    assert check(plan, source) == (expected,)


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = () => 1;",
        "module.exports = { handler };",
        "export { run as handler };",
        "module.exports = require('./lib');",
        "export * from './lib.js';",
        "Object.assign(module.exports, require('./lib'));",
        "exports[name] = 1;",
        "module.exports = { ...lib };",
    ],
)
def test_export_that_may_be_there(tmp_path: Path, source: str) -> None:
    assert not check(load(tmp_path / "plain", main__js=""), source)


def test_handler_is_read_by_the_node_that_it_runs_on(tmp_path: Path) -> None:
    lines, _ = render(load(tmp_path / "plain", main__js="", package__json="{}"))
    assert lines[:4] == [
        "FROM tidegate/nodejs:1 AS checked",
        'COPY ["package.json", "/checked/"]',
        'COPY ["main.js", "/checked/"]',
        "RUN node --check /checked/main.js",
    ]
    assert 'COPY --from=checked --chown=65532:65532 ["/checked/main.js", "/opt/nuclio/main.js"]' in lines
    changed = "spec: {runtime: nodejs, build: {commands: ['@nuclio.postCopy', make]}}\n"
    lines, _ = render(load(tmp_path / "changed", function__yaml=changed, main__js=""))
    assert not any("checked" in line for line in lines)
