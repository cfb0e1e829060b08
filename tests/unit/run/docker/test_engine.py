"""Which images are here, as Docker tells it."""

import subprocess
from pathlib import Path

import pytest

from stack.run.docker.engine import Engine

_DIGEST = f"sha256:{'0' * 64}"
# What `docker image inspect` prints of two images, the tags and digests of each on a line.
_TOLD = f"""["python:3.13-slim","own/function:1"]
["python@{_DIGEST}"]

[]
["mirror.example:5000/a/b@{_DIGEST}"]
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
    ],
)
def test_an_image_is_here_whether_or_not_others_are(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = subprocess.CompletedProcess([], 1, _TOLD, "No such image: absent")
    monkeypatch.setattr("stack.run.docker.engine.run", lambda _: result)
    absent = ["absent", "python", f"own/function@{_DIGEST}", f"a/b@{_DIGEST}"]
    assert Engine("p", tmp_path / "compose.yaml").images([name, *absent]) == {name}
