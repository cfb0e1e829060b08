"""The part `notify` of stack.yaml: how people are told, and every mistake with its path."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.errors import ConfigError

HOOK = {"webhook": {"url": "http://plant.example/x"}}
MAIL = {"to": ["a@b.example"], "from": "c@d.example", "server": "smtp.example:587"}


def read(**notify: Any) -> Settings:
    return parse_model(Settings, {"notify": notify}, name="stack.yaml")


def test_all_channels_are_told_unless_some_are_named() -> None:
    channels = {"one": HOOK, "two": HOOK}
    assert read(channels=channels).notify.default == ("one", "two")
    assert read(channels=channels, to=["two"]).notify.default == ("two",)
    assert read(channels=channels, to=[]).notify.default == ()


def test_settings_with_channels_can_be_told_apart() -> None:
    one, same, other = (read(channels={name: HOOK}) for name in ("a", "a", "b"))
    assert hash(one) == hash(same) != hash(other)


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        ({"channels": {"a": {}}}, "channels.a: should have one of mail, telegram, webhook, slack, alertmanager"),
        ({"channels": {"a": HOOK | {"mail": MAIL}}}, "channels.a: should have one of"),
        ({"channels": {"A b": HOOK}}, "channels: 'A b' should be a name"),
        ({"channels": {"a": {"mail": MAIL | {"server": "smtp.example"}}}}, "channels.a.mail.server"),
        ({"channels": {"a": {"mail": MAIL | {"secret": "pass"}}}}, "channels.a.mail.secret: should be NAME.KEY"),
        ({"channels": {"a": {"webhook": {}}}}, "channels.a.webhook: should have either a url, or a secret"),
        ({"channels": {"a": {"webhook": {"url": "plant"}}}}, "channels.a.webhook.url: should be such as https://"),
        ({"channels": {"a": {"telegram": {"chat": "x", "secret": "a.b"}}}}, "channels.a.telegram.chat: should be"),
        ({"to": ["a"]}, "to: 'a' is no channel; there are none"),
        ({"channels": {"b": HOOK}, "routes": [{"to": ["a"]}]}, "routes.0.to: 'a' is no channel; there are b"),
        ({"channels": {"b": HOOK}, "escalate": {"to": ["a"]}}, "escalate.to: 'a' is no channel"),
        ({"routes": [{"repeat": "0s"}]}, "routes.0.repeat: should be such as 30s or 4h, not '0s'"),
        ({"channels": {"b": HOOK}, "escalate": {"to": ["b"], "after": ""}}, "escalate.after: should be a duration"),
        ({"routes": [{"mute": ["night"]}]}, "routes.0.mute: 'night' is no name in mute; there are none"),
        ({"mute": {"a": {"times": ["22-7"]}}}, "mute.a.times.0: should be such as 22:00-07:00"),
        ({"mute": {"a": {"zone": "Europe/Berln"}}}, "mute.a.zone: should be a time zone"),
        ({"routes": [{"labels": {"a b": "x"}}]}, "routes.0.labels: 'a b' is no label"),
        ({"channels": {"a": {"mail": MAIL | {"user": "me"}}}}, "channels.a.mail: user and secret belong together"),
        (
            {"channels": {"a": {"mail": MAIL | {"user": "me", "secret": "a.b", "tls": False}}}},
            "channels.a.mail: a password is sent",
        ),
        ({"mute": {"a": {"days": ["weekend"]}}}, "mute.a.days.0: should be a day"),
        ({"wait": "0s"}, "wait: should be such as 30s"),
    ],
)
def test_mistakes(notify: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**notify)
    assert any(f"stack.yaml: notify.{problem}" in one for one in caught.value.problems), caught.value.problems
