"""Builds that one client of BuildKit makes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stack.docker.build import Build, build_image, describe, sort_lines
from stack.errors import BuildError


def make_build() -> Build:
    return Build(("own:1",), Path("/r/Dockerfile"), Path("/f"), {"config": Path("/r")}, {"ca": Path("/ca.pem")})


def test_target_says_what_the_command_for_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:a${b}%{c}@proxy")
    assert json.loads(describe([make_build()]))["target"]["t0"] == {
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
    assert list(sort_lines(["one.two", "two"], lines)) == [
        ("one.two", "#2 [one.two internal] load build definition"),
        ("two", "#3 [two stage-0 1/3] FROM base"),
        ("one.two", lines[6]),
        ("two", lines[7]),
        ("two", "#4 [two] exporting to image"),
        ("two", lines[9]),
        ("one.two", lines[10]),
    ]


def test_flags_are_keys_of_the_target() -> None:
    flags = (
        ("--no-cache", ""),
        ("--label", "a=b=c"),
        ("--build-arg", "VERSION=1"),
        ("--platform", "linux/arm64,linux/amd64"),
        ("--ulimit", "nofile=100"),
        ("--ulimit", "core=0"),
        ("--shm-size", "64m"),
        ("--cache-from", "registry/image:1"),
    )
    target = replace(make_build(), args={"BASE": "debian"}, flags=flags).describe()
    assert target["args"].items() >= {"BASE": "debian", "VERSION": "1"}.items()
    assert target.items() >= {
        "no-cache": True,
        "labels": {"a": "b=c"},
        "platforms": ["linux/arm64", "linux/amd64"],
        "ulimits": ["nofile=100", "core=0"],
        "shm-size": "64m",
        "cache-from": ["registry/image:1"],
    }.items()  # fmt: skip


def test_flags_of_two_builders_do_not_go_together() -> None:
    build = replace(make_build(), flags=(("--network", "host"), ("--shm-size", "64m")))
    with pytest.raises(BuildError, match="--shm-size cannot stand beside --add-host or --network"):
        build_image(build)
