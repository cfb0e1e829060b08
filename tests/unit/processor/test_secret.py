"""The environment that is made of secrets."""

from pathlib import Path
from typing import Any

import pytest

from stack.processor.attributes import Attributes, ConfigurationError, read_environment


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, content in {"db.user": b"ann", "db.pass.word": b" a\n\xff", "dbx.user": b"x", "bad.zero": b"\0"}.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def variable(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


@pytest.mark.parametrize(
    ("spec", "environment"),
    [
        ({}, {}),
        ({"env": [{"name": "A", "value": "b"}, variable("db", "user")]}, {"A": "b", "V": "ann"}),
        # Every byte as it is: Python's os.environ keeps those that are no UTF-8.
        ({"env": [variable("db", "pass.word")]}, {"V": " a\n\udcff"}),
        ({"env": [variable("db", "none", optional=True)]}, {}),
        ({"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, {}),
        ({"envFrom": [{"secretRef": {"name": "db"}}]}, {"user": "ann", "pass.word": " a\n\udcff"}),
        ({"envFrom": [{"prefix": "P_", "secretRef": {"name": "dbx"}}]}, {"P_user": "x"}),
        ({"envFrom": [{"secretRef": {"name": "none", "optional": True}}]}, {}),
        ({"envFrom": [{"configMapRef": {"name": "map"}}]}, {}),
        ({"env": [{"name": "user", "value": "eve"}], "envFrom": [{"secretRef": {"name": "dbx"}}]}, {"user": "eve"}),
        (
            {"envFrom": [{"secretRef": {"name": "db"}}, {"secretRef": {"name": "dbx"}}]},
            {"user": "x", "pass.word": " a\n\udcff"},
        ),
    ],
)
def test_environment(spec: dict[str, Any], environment: dict[str, str], secrets: Path) -> None:
    assert read_environment(Attributes("spec", spec), secrets) == environment


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"env": [variable("db", "none")]}, r"spec.env\[0\].valueFrom.secretKeyRef: .*db.none cannot be read"),
        ({"env": [variable("bad", "zero")]}, "holds a zero byte"),
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, r"spec.envFrom\[0\].secretRef: there is no secret .*/none"),
    ],
)
def test_what_cannot_be_is_refused(spec: dict[str, Any], message: str, secrets: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_environment(Attributes("spec", spec), secrets)
