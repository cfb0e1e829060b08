"""What counts of a configuration that was fetched with code."""

from typing import Any

import pytest

from stack.config.function import FunctionConfig
from stack.config.source import take_fetched
from stack.errors import AccessError

VOLUME = {"volume": {"name": "v", "hostPath": {"path": "/"}}, "volumeMount": {"name": "v", "mountPath": "/v"}}
SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}
RABBIT = {"kind": "rabbit-mq", "attributes": {"queueName": "q"}}


def take(
    there: dict[str, Any], own: dict[str, Any] | None = None
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    found = take_fetched({"spec": there}, FunctionConfig.model_validate({"spec": own or {}}), name="f")
    return found.document.get("spec", {}), found.taken, found.left_out


def test_what_is_taken_and_what_is_left_out() -> None:
    there = {
        "handler": "main:run",
        "Description": "theirs",
        "env": [{"name": "A", "value": "1"}],
        "triggers": {"q": RABBIT},
        "runtimeAttributes": {"a": 1},
        "build": {"commands": ["pip install x"], "path": "https://other.example/", "noCache": True},
        "minReplicas": 3,
        "runtime": "python:3.9",
    }
    spec, taken, left_out = take(there)
    assert spec["build"] == {"commands": ["pip install x"]}
    assert (spec["handler"], spec["description"], spec["env"]) == ("main:run", "theirs", [{"name": "A", "value": "1"}])
    assert set(taken) == {"handler", "description", "env", "triggers", "runtimeAttributes", "build.commands"}
    assert set(left_out) == {"minReplicas", "runtime", "build.path", "build.noCache"}


@pytest.mark.parametrize(
    ("there", "key"),
    [
        ({"volumes": [VOLUME]}, "volumes"),
        ({"devices": ["/dev/null"]}, "devices"),
        ({"securityContext": {"runAsUser": 1000}}, "securityContext"),
        ({"envFrom": [{"secretRef": {"name": "broker"}}]}, "envFrom"),
        ({"env": [SECRET]}, "env.0.valueFrom"),
        ({"resources": {"limits": {"memory": "64Mi"}}}, "resources"),
        ({"platform": {"attributes": {"restartPolicy": {"name": "no"}}}}, "platform"),
        ({"image": "acme/x"}, "image"),
        ({"build": {"flags": ["--no-cache"]}}, "build.flags"),
        ({"build": {"baseImage": "acme/x"}}, "build.baseImage"),
        ({"build": {"image": "acme/x"}}, "build.image"),
        ({"build": {"directives": {"postCopy": [{"kind": "ENV", "value": "A=1"}]}}}, "build.directives"),
        ({"build": {"commands": ["--mount=type=bind,from=other make"]}}, "build.commands.0"),
        ({"build": {"commands": ["\\\n--mount=type=bind,from=other make"]}}, "build.commands.0"),
        ({"build": {"commands": ["-\\ \n # a word\n\n-mount=type=bind,from=other make"]}}, "build.commands.0"),
        (
            {"triggers": {"w": {"kind": "http", "attributes": {"authentication": "none"}}}},
            "triggers.w.attributes.authentication",
        ),
        ({"triggers": {"q": {**RABBIT, "secret": "broker.url"}}}, "triggers.q.secret"),
        ({"triggers": {"w": {"kind": "http", "attributes": {"port": 31000}}}}, "triggers.w.attributes.port"),
    ],
)
def test_what_is_refused_unless_the_function_says_the_same(there: dict[str, Any], key: str) -> None:
    with pytest.raises(AccessError, match=f"^f: spec.{key}: is not taken from code that is fetched; write it into"):
        take(there)
    if "commands" not in key:
        take(there, there)


def test_what_differs_from_the_function_s_own_is_refused() -> None:
    with pytest.raises(AccessError):
        take({"securityContext": {"runAsUser": 0}}, {"securityContext": {"runAsUser": 1000}})
    with pytest.raises(AccessError):
        take({"triggers": {"q": {**RABBIT, "secret": "a.b"}}}, {"triggers": {"q": {**RABBIT, "secret": "a.c"}}})
