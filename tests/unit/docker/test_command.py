"""What Docker's commands find in their environment."""

import pytest

from stack.docker.command import run, stream

TELL = ["sh", "-c", 'echo "$GOGC $OTEL_TRACES_SAMPLER"']


def test_commands_are_patient_and_have_nothing_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    assert run(TELL).stdout == "800 always_off\n"
    assert list(stream(TELL, "failed")) == ["800 always_off"]


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOGC", "50")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    assert run(TELL).stdout == "50 always_on\n"
    assert list(stream(TELL, "failed")) == ["50 always_on"]
