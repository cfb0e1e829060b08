"""Images of functions: what is installed, what a base of the author's needs, and what a failed build says."""

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.workspace import Workspace, fetch, list_images, run_docker

Author = Callable[..., Path]

MEGABYTE = 1000 * 1000
SPEC = "spec:\n  build:\n    {}\n"
# What a function may weigh over the processor, whose files it shares with all others.
HEAVIEST_FUNCTION = 15 * MEGABYTE

ANSWER = "def handler(context, event):\n    return {!r}\n"
VERSIONS = """
import importlib.metadata, os, sys

def handler(context, event):
    return f"{importlib.metadata.version('iniconfig')} {sys.prefix} {os.getuid()}"
"""


@pytest.fixture
def bases(workspace: Workspace) -> Iterator[Callable[[str, str], str]]:
    """Build images of the author's on the one of the processor or of Debian; they are removed at the test's end."""
    names: list[str] = []

    def build(name: str, recipe: str) -> str:
        (workspace.root / "base.Dockerfile").write_text(recipe)
        run_docker("build", "--tag", name, "--file", str(workspace.root / "base.Dockerfile"), str(workspace.root))
        names.append(name)
        return name

    yield build
    for name in names:
        run_docker("image", "rm", "--force", name, check=False)


def processor_of(workspace: Workspace, function: str) -> str:
    """Return the image that the rendered Dockerfile of a function stands on."""
    text = (workspace.rendered / "functions" / function / "Dockerfile").read_text()
    return text.splitlines()[0].removeprefix("FROM ")


def size_of(image: str) -> int:
    return int(run_docker("image", "inspect", "--format", "{{.Size}}", image).stdout)


def layers_of(image: str) -> list[str]:
    layers = json.loads(run_docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image).stdout)
    return [str(layer) for layer in layers]


def test_requirements_are_installed_once(workspace: Workspace, author: Author) -> None:
    """In a layer that another line of code leaves as it is."""
    folder = author("packedreq", VERSIONS, files={"requirements.txt": "iniconfig==2.1.0\n"})
    workspace.invoke("deploy-function", "packedreq")
    assert fetch(workspace.url("packedreq")) == (200, "2.1.0 /opt/venv 65532")
    before = layers_of(workspace.functions()["packedreq"]["image"])
    (folder / "main.py").write_text(VERSIONS + "\n# Another line.\n")
    workspace.invoke("deploy-function", "packedreq")
    after = layers_of(workspace.functions()["packedreq"]["image"])
    assert before != after
    assert before[:-2] == after[:-2], "more than the layers of the code and of the configuration after it"


def test_function_is_little_more_than_the_processor(workspace: Workspace, author: Author) -> None:
    author("packedsize", ANSWER.format("small"))
    workspace.invoke("deploy-function", "packedsize")
    image = workspace.functions()["packedsize"]["image"]
    assert size_of(image) - size_of(processor_of(workspace, "packedsize")) < HEAVIEST_FUNCTION


@pytest.mark.parametrize(
    ("commands", "requirements", "advice"),
    [
        ("", "no-such-package-anywhere==1\n", "Correct functions/packedbad/requirements.txt;"),
        (SPEC.format('commands: ["cat /opt/nuclio/main.py"]'), "", 'put "@nuclio.postCopy" before it'),
    ],
    ids=["requirements", "command"],
)
def test_failed_build_says_what_to_do(
    workspace: Workspace, author: Author, commands: str, requirements: str, advice: str
) -> None:
    author("packedbad", ANSWER.format("bad"), commands, {"requirements.txt": requirements})
    result = workspace.invoke("deploy-function", "packedbad", check=False)
    assert result.returncode == 1
    assert advice in result.stderr
    assert re.search("No matching distribution found|No such file", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_processor_on_a_base_of_the_author_s(
    workspace: Workspace, author: Author, bases: Callable[[str, str], str]
) -> None:
    (processor,) = [name for name in list_images("tidegate/processor") if name.endswith(":latest")]
    lines = [
        f"FROM {processor}",
        "USER root",
        "RUN pip uninstall --yes --quiet pika httptools cronsim nuclio-sdk",
        "RUN rm -r /opt/tidegate /usr/local/bin/processor",
        "RUN userdel nuclio && rm -r /home/nuclio && echo kept > /etc/of-the-base",
        "HEALTHCHECK NONE",
        "ENTRYPOINT []",
        'CMD ["false"]',
    ]
    base = bases("packed/base:1", "\n".join(lines))
    code = "def handler(context, event):\n    return open('/etc/of-the-base').read()\n"
    author("packedbase", code, SPEC.format(f"{{baseImage: {base}, image: packed/own:v1, flags: ['--label a=b']}}"))
    workspace.invoke("deploy-function", "packedbase")
    assert fetch(workspace.url("packedbase")) == (200, "kept\n")
    assert workspace.functions()["packedbase"]["image"].startswith("packed/own:")
    inspected = json.loads(run_docker("image", "inspect", "packed/own:v1").stdout)[0]["Config"]
    assert (inspected["Labels"]["a"], inspected["User"]) == ("b", "nuclio")
    workspace.note_images()
    workspace.invoke("delete-function", "packedbase", "--yes")
    assert not list_images("packed/own")


def test_base_without_python_is_refused(workspace: Workspace, author: Author) -> None:
    (debian, *_) = list_images("tidegate/debian")
    author("packednone", ANSWER.format("none"), SPEC.format(f"baseImage: {debian}"))
    result = workspace.invoke("deploy-function", "packednone", check=False)
    assert result.returncode == 1
    assert "spec.build.baseImage: the processor needs Python 3.11 or newer in it" in result.stderr


def test_python_that_cannot_be_had_is_named(workspace: Workspace, author: Author) -> None:
    author("packedpython", ANSWER.format("any"), "spec: {runtime: 'python:3.9'}\n")
    said = "packedpython asks for Python 3.9 and runs on Python"
    assert said in workspace.invoke("deploy-function", "packedpython").stderr
    status = workspace.invoke("status").stderr
    assert said in status
    listed = {one["service"]: one for one in json.loads(workspace.invoke("status", "--json").stdout)}
    described = listed["function-packedpython"]
    assert described["wanted_python"] == "3.9"
    assert described["python"] not in ("", "3.9")


@pytest.mark.slow
def test_image_is_deployed_from_a_file(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    """And nothing is built: neither its folder nor the images that it was made of are needed."""
    folder = author("packedfile", VERSIONS, files={"requirements.txt": "iniconfig==2.1.0\n"})
    (folder / "function.yaml").write_text("spec: {description: from a file, env: [{name: A, value: b}]}\n")
    file = tmp_path / "packed.tar"
    image = workspace.invoke("build-function", "packedfile", "--output", str(file)).stdout.strip()
    assert workspace.functions()["packedfile"]["state"] == "not deployed"
    run_docker("image", "rm", image)
    (folder / "main.py").write_text("raise RuntimeError\n")
    other = tmp_path / "other.tar"
    run_docker("save", "--output", str(other), next(iter(list_images("tidegate/processor"))))
    with tarfile.open(file) as bundle, tarfile.open(other, "a:") as target:
        member = bundle.getmember("tidegate/function.json")
        target.addfile(member, bundle.extractfile(member))
    refused = workspace.invoke("deploy-function", "--image-file", str(other), check=False)
    assert refused.returncode == 1
    assert "should bring the image nuclio/processor-packedfile of packedfile alone, and brings tide" in refused.stderr
    result = workspace.invoke("deploy-function", "--image-file", str(file))
    assert "Building" not in result.stderr
    assert fetch(workspace.url("packedfile"))[1].startswith("2.1.0")
    assert workspace.functions()["packedfile"]["image"] == image
    workspace.invoke("up")
    assert fetch(workspace.url("packedfile"))[0] == 200


@pytest.mark.parametrize("content", [None, b"", b"no tar at all" * 100])
def test_file_that_is_no_image_is_refused(workspace: Workspace, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "other.tar"
    if content is not None:
        file.write_bytes(content)
    result = workspace.invoke("deploy-function", "--image-file", str(file), check=False)
    assert result.returncode == 1
    assert f"{file} " in result.stderr
    assert re.search("cannot be read|is no function's image", result.stderr)
