"""Builds that one client of BuildKit makes."""

import json
from pathlib import Path

import pytest

from stack.docker.build import Bake, Build


def make_build() -> Build:
    return Build(("own:1",), Path("/r/Dockerfile"), Path("/f"), {"config": Path("/r")}, {"ca": Path("/ca.pem")})


def test_target_says_what_the_command_for_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:a${b}%{c}@proxy")
    bake = Bake({"one.two": make_build()})
    assert bake.command()[-1] == "t0"
    assert json.loads(bake.document())["target"]["t0"] == {
        "context": "/f",
        "dockerfile": "/r/Dockerfile",
        "contexts": {"config": "/r"},
        "args": {"http_proxy": "http://user:a$${b}%%{c}@proxy"},
        "secret": ["id=ca,src=/ca.pem"],
        "tags": ["own:1"],
        "output": ["type=docker"],
    }


def test_lines_are_told_by_their_steps() -> None:
    lines = [
        "#0 building with default",
        "",
        "#1 [internal] load local bake definitions",
        "#1 DONE 0.0s",
        "#2 [t0 internal] load build definition",
        "#3 [t1 stage-0 1/3] FROM base",
        "#2 DONE 0.0s",
        "#3 CACHED",
        "#4 [t1] exporting to image",
        "#4 [one.two] of a command",
        "#2 more",
    ]
    sorted_lines = list(Bake({"one.two": make_build(), "two": make_build()}).sort(lines))
    assert sorted_lines == [
        ("one.two", "#2 [one.two internal] load build definition"),
        ("two", "#3 [two stage-0 1/3] FROM base"),
        ("one.two", lines[6]),
        ("two", lines[7]),
        ("two", "#4 [two] exporting to image"),
        ("two", lines[9]),
        ("one.two", lines[10]),
    ]
