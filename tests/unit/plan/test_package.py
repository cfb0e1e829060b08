"""A function's package: its Dockerfile, and what pip installs for it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from stack.config.requirements import Requirements
from stack.config.settings import ImageSource, Processor, Settings
from stack.plan.base_image import Kind, lay_base_image
from stack.plan.dockerfile import render_package
from stack.plan.function import FunctionPlan, processor_document
from stack.plan.hints import advise, advise_start
from stack.plan.image import Archive, BaseImages
from stack.plan.runtime.python import RUNTIME
from tests.unit.plan.samples import make_function, make_plan

REGISTRY = BaseImages(ImageSource.REGISTRY, Archive("", ()))


def dockerfile(*, files: tuple[str, ...] = ("main.py",), settings: Settings | None = None, **spec: Any) -> str:
    return dockerfile_of(make_plan(files=files, **spec), settings)


def dockerfile_of(plan: FunctionPlan, settings: Settings | None = None) -> str:
    base_image = lay_base_image(plan.function.config, settings or Settings(), base_images=REGISTRY)
    return render_package(plan, base_image, processor="tidegate/processor:1", has_ca=False)["Dockerfile"].decode()


def check(plan: FunctionPlan) -> tuple[str, ...]:
    return RUNTIME.check_requirements(plan.function, plan.handler)


def order(text: str) -> list[str]:
    """Return the first word of each instruction."""
    joined = text.replace("\\\n", " ")
    return [line.split()[0] for line in joined.splitlines() if line]


DIRECTIVES = {
    "preCopy": [{"kind": "env", "value": "EARLY=1"}],
    "postCopy": [{"kind": "STOPSIGNAL", "value": "SIGTERM"}],
}


def test_order_is_nuclio_s() -> None:
    """Base, ARGs, preCopy, artifacts, handler, health check, postCopy, CMD."""
    build = {"args": {"A": "1"}, "directives": DIRECTIVES, "baseImage": "acme/base"}
    found = order(dockerfile(build=build))
    positions = [found.index(word) for word in ("FROM", "ARG", "ENV", "COPY", "HEALTHCHECK", "STOPSIGNAL", "CMD")]
    assert positions == sorted(positions)


@pytest.mark.parametrize(("first", "second"), [(1, True), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (1, 1)])
def test_what_is_remembered_is_what_is_written(first: object, second: object) -> None:
    """Also where Python takes two values for the same."""
    base_image = lay_base_image(make_plan().function.config, Settings(), base_images=REGISTRY)
    documents = []
    for value in (first, second):
        plan = make_plan(handler="main:handler", affinity={"own": value})
        files = render_package(plan, base_image, processor="tidegate/processor:1", has_ca=False)
        documents.append(files["processor.yaml"])
        assert documents[-1] == processor_document(plan).encode()
    assert (documents[0] == documents[1]) == (repr(first) == repr(second))


def test_nuclio_s_own_processor_in_its_order() -> None:
    text = dockerfile(settings=Settings(processor=Processor.NUCLIO), build={"directives": DIRECTIVES})
    assert text.startswith("FROM quay.io/nuclio/handler-builder-python-onbuild:1.13.0-${TARGETARCH} AS onbuild\n")
    assert "\nFROM python:3.9\n" in text
    paths = re.findall(r"COPY .*?(\S+)$", text, re.MULTILINE)
    assert paths == [
        "/usr/local/bin/processor",
        "/opt/nuclio/",
        "/opt/nuclio/whl",
        "/usr/local/bin/uhttpc",
        "/opt/nuclio",
        "/etc/nuclio/config/processor/processor.yaml",
    ]
    assert text.index("HEALTHCHECK") < text.index("pip install nuclio-sdk msgpack") < text.index("STOPSIGNAL")
    assert "USER" not in text


def test_annotation_chooses_the_processor_of_one_function() -> None:
    function = make_function(annotations={"tidegate.io/processor": "tidegate"}, build={})
    assert (
        lay_base_image(function.config, Settings(processor=Processor.NUCLIO), base_images=REGISTRY).kind
        is Kind.PROCESSOR
    )
    function = make_function(annotations={"tidegate.io/processor": "nuclio"})
    assert lay_base_image(function.config, Settings(), base_images=REGISTRY).kind is Kind.NUCLIO


def test_onbuild_image_is_nuclio_s_template() -> None:
    build = {"onbuildImage": "acme/onbuild:{{ .Label }}-{{.Arch}}", "baseImageRegistry": "mirror.example"}
    text = dockerfile(settings=Settings(processor=Processor.NUCLIO), runtime="python:3.11", build=build)
    assert "FROM acme/onbuild:1.13.0-${TARGETARCH} AS onbuild" in text
    assert "FROM mirror.example/python:3.11\n" in text


def test_empty_argument_is_left_out() -> None:
    assert "ARG" not in dockerfile(build={"args": {"A": ""}})


def test_author_s_user_stays() -> None:
    assert "USER nuclio" in dockerfile()
    directives = {"postCopy": [{"kind": "USER", "value": "1000"}]}
    assert "USER nuclio" not in dockerfile(build={"directives": directives})


@pytest.mark.parametrize(
    ("handler", "files", "found", "folder"),
    [
        ("main:handler", ("main.py",), (), ""),
        ("main:handler", ("main.py", "requirements.txt"), ("requirements.txt",), ""),
        (
            "main:handler",
            ("dev-requirements.txt", "main.py", "notes.txt", "requirements.txt"),
            ("dev-requirements.txt", "requirements.txt"),
            "",
        ),
        ("a.b:handler", ("a/b.py", "a/requirements.txt", "requirements.txt"), ("a/requirements.txt",), "a"),
        ("a.b:handler", ("a/b.py", "requirements.txt"), ("requirements.txt",), ""),
    ],
)
def test_requirements_beside_the_handler(
    handler: str, files: tuple[str, ...], found: tuple[str, ...], folder: str
) -> None:
    plan = make_plan(files=files, handler=handler)
    assert RUNTIME.locate_requirements(plan.function, plan.handler) == folder
    assert RUNTIME.find_requirements(plan.function, plan.handler) == ({folder: found} if found else {})


def test_requirements_are_installed_before_the_code_is_copied() -> None:
    text = dockerfile(files=("main.py", "requirements.txt"), build={"commands": ["early", "@nuclio.postCopy", "late"]})
    places = [
        text.index(part)
        for part in ("RUN early", "requirements.txt", "pip install", "COPY --chown=65532:65532 .", "RUN late")
    ]
    assert places == sorted(places)
    assert "--mount=type=cache,target=/root/.cache/pip" in text
    assert "id=pip" not in text


def test_code_from_elsewhere_shares_no_cache_with_others() -> None:
    plan = make_plan(files=("main.py", "requirements.txt"), build={"commands": ["pip install x"]})
    far = replace(plan, function=replace(plan.function, origin="https://code.example/f"))
    text = dockerfile_of(far)
    assert text.count("type=cache,target=/root/.cache/pip,id=pip-of-fetched-thermo") == text.count("type=cache") == 2


def test_lists_in_other_folders_are_carried_along() -> None:
    files = ("a/b.py", "a/requirements.txt", "sets/base.txt", "sets/other.txt", "top.txt")
    named = Requirements("a/requirements.txt", ("sets/base.txt", "top.txt"))
    text = dockerfile(files=files, handler="a.b:handler", requirements=named)
    lines = [line for line in text.splitlines() if line.startswith("COPY --chown=65532:65532 [")]
    assert [json.loads(line.split(maxsplit=2)[2]) for line in lines] == [
        ["a/requirements.txt", "/opt/nuclio/a/"],
        ["sets/base.txt", "/opt/nuclio/sets/"],
        ["top.txt", "/opt/nuclio/"],
    ]
    assert text.index("pip install") < text.index("COPY --chown=65532:65532 . /opt/nuclio")


def test_what_is_installed_from_the_folder_is_so_after_the_code_is_copied() -> None:
    files = ("a/b.py", "a/requirements.txt", "a/lib/setup.py")
    needs = Requirements("a/requirements.txt", needs_code=True)
    text = dockerfile(files=files, handler="a.b:handler", requirements=needs, build={"commands": ["early"]})
    assert "COPY --chown=65532:65532 [" not in text
    places = [
        text.index(part) for part in ("COPY --chown=65532:65532 .", "cd /opt/nuclio/a/ && ", "COPY --from=config")
    ]
    assert places == sorted(places)


def test_only_the_requirements_that_count_are_checked() -> None:
    missing = Requirements(
        "requirements.txt", missing=(("requirements.txt, line 2", "base.txt"), ("b.txt, line 1", "../c"))
    )
    files, folder = ("main.py", "requirements.txt"), "functions/thermo"
    assert check(make_plan(files=files, requirements=missing)) == (
        f"{folder}/requirements.txt, line 2: there is no {folder}/base.txt; add it, or take the line out",
        f"{folder}/b.txt, line 1: functions/c is outside of the function's folder, of which alone images are built",
    )
    nested = ("a/b.py", "a/requirements.txt", "requirements.txt")
    assert check(make_plan(files=nested, handler="a.b:handler", requirements=missing)) == ()


FAILED = 'ERROR: failed to solve: process "/bin/sh -c {}" did not complete successfully: exit code: 1'


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (
            "python3 -m pip install --requirement /opt/nuclio/requirements.txt",
            "Correct functions/thermo/requirements.txt;",
        ),
        ("pip install -r /opt/nuclio/requirements.txt", 'put "@nuclio.postCopy" before it'),
        ('export PIP_CERT=/x; echo \\"a\\"', "runs before the function's files are copied"),
        (
            "python3 -m pip install --requirement /opt/tidegate/requirements.lock",
            "spec.build.baseImage: the processor needs Python 3.11",
        ),
        ("late", ""),
    ],
)
def test_advice_for_a_build_that_failed(command: str, advice: str) -> None:
    commands = ["pip install -r /opt/nuclio/requirements.txt", 'echo "a"', "@nuclio.postCopy", "late"]
    plan = make_plan(files=("main.py", "requirements.txt"), build={"commands": commands})
    found = advise(plan, FAILED.format(command))
    assert advice in found
    assert bool(found) == bool(advice)


@pytest.mark.parametrize(
    ("last", "advice"),
    [
        (
            "  ModuleNotFoundError: No module named 'sklearn.svm'",
            "Add sklearn, or the package that has it, to functions/thermo/requirements.txt, then deploy again.",
        ),
        ("  ModuleNotFoundError: No module named 'helper'", ""),
        ("  ModuleNotFoundError: No module named 'yaml'\n  caught", ""),
        ("  ValueError: x", ""),
    ],
)
def test_advice_for_a_start_that_failed(last: str, advice: str) -> None:
    plan = make_plan(files=("main.py", "lib/helper.py"))
    assert advise_start(plan, f"function-thermo ended. Its last lines:\n  Traceback\n{last}") == advice


def test_no_requirements_are_asked_of_an_image_of_somebody_elses() -> None:
    plan = make_plan(files=(), image="acme/reader:1")
    assert advise_start(plan, "ModuleNotFoundError: No module named 'yaml'") == ""


def test_advice_for_an_image_that_is_nowhere() -> None:
    found = advise(make_plan(), "ERROR: x: failed to resolve source metadata for docker.io/acme/base:1: failed to do")
    assert found.startswith("No registry that can be reached offers docker.io/acme/base:1. A function needs none")
