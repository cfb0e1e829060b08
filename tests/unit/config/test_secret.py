"""Secrets are not shown, and are called as in Kubernetes."""

import pytest

from stack.config.environment import Secret, SecretContent, SecretRef, check_secret_key, check_secret_name
from stack.plan.broker import Credentials


def test_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {[secret]} {Credentials('ann', secret)}"
    assert "hunter2" not in shown
    assert "[redacted]" in shown
    assert secret.get_secret_value() == "hunter2"


def test_content_is_not_shown() -> None:
    content = SecretContent(b"hunter2")
    shown = f"{content} {content!r} {[content]}"
    assert "hunter2" not in shown
    assert "[redacted]" in shown
    assert content.get_secret_value() == b"hunter2"


@pytest.mark.parametrize("name", ["a", "db", "my-db-2", "a" * 63])
def test_names(name: str) -> None:
    assert check_secret_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "my.db", "-a", "a-", "a" * 64, "a/b", "..", "ü", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        check_secret_name(name)


@pytest.mark.parametrize("key", ["a", "tls.crt", "PASSWORD_1", ".dotfile", "-"])
def test_keys(key: str) -> None:
    assert check_secret_key(key) == key
    assert SecretRef.parse(f"db.{key}") == SecretRef("db", key)


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a/b", "a b", "a=b", "a\n", "a" * 181])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        check_secret_key(key)
