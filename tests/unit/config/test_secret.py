"""Secrets are not shown."""

from stack.config.secret import Secret
from stack.plan.broker import Credentials


def test_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {[secret]} {Credentials('ann', secret)}"
    assert "hunter2" not in shown
    assert "[redacted]" in shown
    assert secret.get_secret_value() == "hunter2"
