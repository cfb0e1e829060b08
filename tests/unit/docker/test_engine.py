"""Which images are here, as Docker tells it."""

import subprocess
from pathlib import Path

import pytest

from stack.docker.engine import Engine
from stack.errors import EngineError

_DIGEST = f"sha256:{'0' * 64}"
# What `docker image inspect` prints of two images, the tags and digests of each on a line.
_TOLD = f"""["python:3.13-slim","own/function:1"]
["python@{_DIGEST}"]
["sha256:0123456789abcdef{"0" * 48}"]

[]
["mirror.example:5000/a/b@{_DIGEST}"]
["sha256:{"9" * 64}"]
"""


@pytest.mark.parametrize(
    "name",
    [
        "python:3.13-slim",
        "docker.io/library/python:3.13-slim",
        f"python@{_DIGEST}",
        f"docker.io/python:3.13@{_DIGEST}",
        f"mirror.example:5000/a/b@{_DIGEST}",
        "own/function:1",
        "0123456789ab",
        f"sha256:0123456789abcdef{'0' * 48}",
    ],
)
def test_an_image_is_here_whether_or_not_others_are(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = subprocess.CompletedProcess([], 1, _TOLD, "Error response from daemon: No such image: absent:latest\n")
    monkeypatch.setattr("stack.docker.engine.run", lambda _: result)
    absent = ["absent", "python", "0123456789ac", "0123", f"own/function@{_DIGEST}", f"a/b@{_DIGEST}"]
    assert Engine("p", tmp_path / "compose.yaml").images([name, *absent]) == {name}


def test_docker_that_does_not_answer_says_nothing_of_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = "Cannot connect to the Docker daemon at unix:///nowhere.sock. Is the docker daemon running?\n"
    monkeypatch.setattr("stack.docker.engine.run", lambda _: subprocess.CompletedProcess([], 1, "[]\n", told))
    with pytest.raises(EngineError, match=r"unix:///nowhere\.sock, where DOCKER_HOST or Docker"):
        Engine("p", tmp_path / "compose.yaml").images(["none-such"])
