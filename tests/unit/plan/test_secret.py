"""Secrets: what asks for them, what is mounted, what is refused, and what a label tells."""

from dataclasses import replace
from typing import Any

import pytest

from stack.config.environment import SecretContent, SecretRef
from stack.errors import ConfigError
from stack.plan.secret import Mount, check_secrets, find_mounts, find_wants
from tests.unit.plan.samples import make_plan, make_vault

VAULT = make_vault(db_user=b"ann", db_password=b"pass", other_key=b"k")
BROKER, MQTT, SIGNATURE = "broker.url", "broker.mqtt", "broker.signature-key"


def variable(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


def volume(**secret: Any) -> dict[str, Any]:
    return {"volume": {"name": "v", "secret": secret}, "volumeMount": {"name": "v", "mountPath": "/etc/db"}}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, [SIGNATURE]),
        ({"disableDefaultHTTPTrigger": True}, []),
        ({"env": [variable("broker", "url")]}, [BROKER, SIGNATURE]),
        ({"envFrom": [{"secretRef": {"name": "db"}}]}, ["db", SIGNATURE]),
        ({"volumes": [volume(secretName="db")]}, ["db", SIGNATURE]),
        ({"triggers": {"in": {"kind": "rabbit-mq"}}}, [BROKER, MQTT, SIGNATURE]),
        ({"triggers": {"in": {"kind": "rabbit-mq", "url": "amqp://elsewhere"}}}, [SIGNATURE]),
        ({"triggers": {"in": {"kind": "rabbit-mq", "username": "ann"}}}, [SIGNATURE]),
        ({"triggers": {"in": {"kind": "rabbit-mq", "secret": "db.url"}}}, ["db.url", SIGNATURE]),
        ({"triggers": {"in": {"kind": "cron", "attributes": {"interval": "1s"}}}}, [BROKER, MQTT, SIGNATURE]),
        (
            {
                "triggers": {
                    "in": {"kind": "mqtt", "url": "elsewhere", "attributes": {"subscriptions": [{"topic": "a"}]}}
                }
            },
            [BROKER, MQTT, SIGNATURE],
        ),
    ],
)
def test_what_a_function_asks_for(spec: dict[str, Any], wanted: list[str]) -> None:
    assert [str(want) for want in find_wants(make_plan(**spec))] == wanted


@pytest.mark.parametrize(
    ("spec", "mounts"),
    [
        ({"env": [variable("db", "user")]}, {"/run/secrets/db.user": "db.user"}),
        ({"env": [variable("db", "user"), variable("db", "user")]}, {"/run/secrets/db.user": "db.user"}),
        (
            {"envFrom": [{"secretRef": {"name": "db"}}]},
            {"/run/secrets/db.password": "db.password", "/run/secrets/db.user": "db.user"},
        ),
        ({"env": [variable("db", "none", optional=True)]}, {}),
        ({"envFrom": [{"secretRef": {"name": "none", "optional": True}}]}, {}),
        (
            {"volumes": [volume(secretName="db")]},
            {"/etc/db/password": "db.password", "/etc/db/user": "db.user"},
        ),
        (
            {"volumes": [volume(secretName="db", items=[{"key": "user", "path": "a/who"}])]},
            {"/etc/db/a/who": "db.user"},
        ),
    ],
)
def test_what_is_mounted(spec: dict[str, Any], mounts: dict[str, str]) -> None:
    wanted = tuple(Mount(SecretRef.parse(ref), target) for target, ref in mounts.items())
    plan = make_plan(disableDefaultHTTPTrigger=True, **spec)
    assert find_mounts(plan, VAULT) == wanted
    check_secrets([plan], VAULT)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"env": [variable("db", "user"), variable("bank", "pin")]},
            "spec.env.1.valueFrom.secretKeyRef: there is no secret bank.pin; known: broker.mqtt, broker.signature-key, "
            "broker.url, db.password, db.user, other.key. Set it: invoke secret set bank pin",
        ),
        (
            {"envFrom": [{"secretRef": {"name": "bank"}}]},
            "spec.envFrom.0.secretRef: there is no secret bank; known: broker.mqtt, broker.signature-key, "
            "broker.url, db.password, db.user, other.key. Set it: invoke secret set bank KEY",
        ),
        (
            {"volumes": [volume(secretName="db", items=[{"key": "pin", "path": "p"}])]},
            "spec.volumes.0.volume.secret: there is no secret db.pin; known: broker.mqtt, broker.signature-key, "
            "broker.url, db.password, db.user, other.key. Set it: invoke secret set db pin",
        ),
        (
            {"triggers": {"in": {"kind": "rabbit-mq", "secret": "word"}}},
            "spec.triggers.in.secret: should be NAME.KEY, the name of a secret and one of its keys, not 'word'",
        ),
    ],
)
def test_what_is_not_there_is_refused(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_secrets([make_plan(**spec)], VAULT)
    assert caught.value.problems == (f"functions/thermo/function.yaml: {problem}",)


@pytest.mark.parametrize(("content", "reason"), [(b"a\0b", "holds a zero byte"), (b"x" * 131_072, "is longer than")])
def test_what_can_be_no_variable_is_refused_there_and_mounted_as_a_file(content: bytes, reason: str) -> None:
    vault = make_vault(db_key=content)
    with pytest.raises(ConfigError, match=reason):
        check_secrets([make_plan(env=[variable("db", "key")])], vault)
    check_secrets([make_plan(volumes=[volume(secretName="db")])], vault)


def test_a_digest_changes_with_its_values_and_its_salt_only() -> None:
    user = [Mount(SecretRef("db", "user"), "/run/secrets/db.user")]
    first = VAULT.digest(user)
    assert first == make_vault(db_user=b"ann").digest(user)
    assert first != make_vault(db_user=b"bob").digest(user)
    # Without it, one who reads a label could try short values one after the other.
    assert first != replace(VAULT, salt=SecretContent(b"other")).digest(user)
    assert VAULT.digest([]) == ""


def test_each_function_has_values_of_its_own_of_the_secret_of_the_stack() -> None:
    spec: dict[str, Any] = {"triggers": {"in": {"kind": "rabbit-mq"}}}
    found = {name: find_mounts(make_plan(name, **spec), VAULT) for name in ("one", "two")}
    files = {name: {mount.target: mount.file for mount in mounts} for name, mounts in found.items()}
    assert files["one"] == {
        "/run/secrets/broker.mqtt": "broker.mqtt.one",
        "/run/secrets/broker.signature-key": "broker.signature-key.one",
        "/run/secrets/broker.url": "broker.url.one",
    }
    assert not set(files["one"].values()) & set(files["two"].values())
    values = [VAULT.read(mount) for mounts in found.values() for mount in mounts if mount.secret.key == "signature-key"]
    assert len(set(values)) == 2
    assert VAULT.digest(found["one"]) != VAULT.digest(found["two"])


def test_nothing_shows_a_value() -> None:
    assert "pass" not in repr(VAULT).replace("password", "")
