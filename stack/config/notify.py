"""The part `notify` of stack.yaml: by which channels people are told, of what, and when not."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.alert import Severity
from stack.config.data import LABEL
from stack.config.document import Document
from stack.config.environment import SecretRef
from stack.config.problem import Problem, refuse
from stack.config.value import Duration
from stack.contract import parse_duration

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TIMES = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)")
_KINDS = ("mail", "telegram", "webhook", "slack", "alertmanager")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _check_secret(text: str) -> str:
    if text:
        SecretRef.parse(text)
    return text


def _check_url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError(f"should be such as https://plant.example/alerts, not {text!r}")
    return text


def _check_time(text: str) -> str:
    if not _TIMES.fullmatch(text):
        raise ValueError(f"should be such as 22:00-07:00, not {text!r}")
    return text


def _check_days(text: str) -> str:
    if any(one not in _DAYS for one in text.split("-")) or text.count("-") > 1:
        raise ValueError(f"should be a day, such as saturday, or such as monday-friday, not {text!r}")
    return text


def list_days(text: str) -> list[str]:
    """Return the days of a span, which may have the end of the week in it: saturday-sunday, friday-monday."""
    first, last = (_DAYS.index(one) for one in (text.split("-")[0], text.split("-")[-1]))
    return [_DAYS[(first + number) % len(_DAYS)] for number in range((last - first) % len(_DAYS) + 1)]


def _check_positive(text: str) -> str:
    if parse_duration(text) <= 0:
        raise ValueError(f"should be such as 30s or 4h, not {text!r}")
    return text


def _check_given(text: str) -> str:
    parse_duration(text)
    return text


def _check_zone(text: str) -> str:
    known = available_timezones()
    if known and text not in known:
        raise ValueError(f"should be a time zone such as Europe/Berlin, not {text!r}")
    return text


def _check_matchers(labels: dict[str, str]) -> dict[str, str]:
    if wrong := [name for name in labels if not LABEL.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is no label: letters, digits and _, at the beginning no digit and no __")
    return labels


SecretName = Annotated[str, AfterValidator(_check_secret)]
Url = Annotated[str, AfterValidator(_check_url)]
PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]


class Mail(Document):
    """A mail, by SMTP."""

    to: tuple[str, ...] = Field(min_length=1)
    """The addresses."""
    from_: str = Field(alias="from", min_length=3)
    """The sender's address."""
    server: str = Field(pattern=r"^[^\s:/]+:\d+$", examples=["smtp.example.com:587"])
    """The server and its port."""
    user: str = ""
    """The account at the server."""
    secret: SecretName = ""
    """The secret with its password, as NAME.KEY."""
    tls: bool = True
    """Whether to refuse a server that does not encrypt."""

    @model_validator(mode="after")
    def _has_password(self) -> Self:
        if bool(self.user) != bool(self.secret):
            raise ValueError("user and secret belong together, such as user: me, secret: notify.mail")
        if self.user and not self.tls:
            raise ValueError(
                "a password is sent to a server that encrypts alone: leave out tls: false, or user and secret"
            )
        return self


class Telegram(Document):
    """A message of a Telegram bot."""

    chat: int
    """The number of the chat."""
    secret: SecretName
    """The secret with the bot's token, as NAME.KEY."""


class Webhook(Document):
    """A POST of JSON to a URL."""

    url: Url = ""
    """Where to."""
    secret: SecretName = ""
    """The secret with the URL, as NAME.KEY, where it is one."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if bool(self.url) == bool(self.secret):
            raise ValueError("should have either a url, or a secret that holds it")
        return self


class Slack(Document):
    """A message in Slack."""

    secret: SecretName
    """The secret with the URL of the incoming webhook, as NAME.KEY."""
    channel: str = ""
    """The channel, where it is not the webhook's own."""


class Channel(Document):
    """A way to tell people: one of these."""

    mail: Mail | None = None
    telegram: Telegram | None = None
    webhook: Webhook | None = None
    slack: Slack | None = None
    alertmanager: dict[str, list[dict[str, Any]]] = {}
    """What else Alertmanager has, as it writes it, such as {pushover_configs: [{user_key: …, token: …}]}."""
    resolved: bool = True
    """Whether it is told too that an alert is over."""

    @property
    def kind(self) -> str:
        """Return which of them it is."""
        return next(name for name in _KINDS if getattr(self, name))

    @property
    def secret(self) -> str:
        """Return the secret that it needs, if any."""
        return getattr(getattr(self, self.kind), "secret", "")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if sum(bool(getattr(self, name)) for name in _KINDS) != 1:
            raise ValueError(f"should have one of {', '.join(_KINDS)}")
        return self


class Mute(Document):
    """Times at which a route is silent."""

    times: tuple[Annotated[str, AfterValidator(_check_time)], ...] = ()
    """Of the day, such as 22:00-07:00; all day where left out."""
    days: tuple[Annotated[str, AfterValidator(_check_days)], ...] = ()
    """Of the week, such as saturday or monday-friday; every day where left out."""
    zone: Annotated[str, AfterValidator(_check_zone)] = Field("UTC", examples=["Europe/Berlin"])
    """The time zone."""


class Route(Document):
    """Whom to tell of some alerts: the first route that fits an alert has it."""

    severity: tuple[Severity, ...] = ()
    """Of these severities; of all where left out."""
    labels: Annotated[dict[str, str], AfterValidator(_check_matchers)] = {}
    """With these labels."""
    alerts: tuple[str, ...] = ()
    """With these names."""
    to: tuple[str, ...] = ()
    """The channels; none tells no one."""
    mute: tuple[str, ...] = ()
    """The names of times at which it is silent."""
    repeat: PositiveDuration = ""
    """After how long people are told again of what goes on."""


class Escalation(Document):
    """Who else is told where no one has acknowledged an alert."""

    after: Annotated[Duration, AfterValidator(_check_given)] = "30m"
    """How long after it fires."""
    to: tuple[str, ...] = Field(min_length=1)
    """The channels."""
    severity: tuple[Severity, ...] = (Severity.CRITICAL,)
    """Of which severities."""


class Notify(Document):
    """How people are told of alerts."""

    channels: dict[str, Channel] = {}
    """The ways, by names of your own."""
    url: Url = ""
    """Where people find the dashboard, for the links to charts; the address on this machine where left out."""
    stack: bool = True
    """Whether people are told of the stack itself, too: functions, broker, queues, disk, devices."""
    to: tuple[str, ...] = ()
    """The channels for what no route fits; all where left out."""
    routes: tuple[Route, ...] = ()
    """Whom to tell of what."""
    mute: dict[str, Mute] = {}
    """Times of silence, by names of your own, for routes."""
    escalate: Escalation | None = None
    group: tuple[str, ...] = ("alertname",)
    """Labels by whose values alerts are put into one message; [] puts all into one."""
    wait: PositiveDuration = "2.5s"
    """How long the first message of a group waits for more, from when its first alert began."""
    interval: PositiveDuration = "30s"
    """How long at least between two messages of a group that changes."""
    repeat: PositiveDuration = "4h"
    """After how long people are told again of what goes on."""

    def __hash__(self) -> int:
        """Return a hash, which settings have, also of the mappings in it."""
        return hash(self.model_dump_json())

    @property
    def default(self) -> tuple[str, ...]:
        """Return the channels for what no route fits."""
        return self.to if "to" in self.model_fields_set else tuple(self.channels)

    @property
    def repeats(self) -> tuple[str, ...]:
        """Return after how long people are told again, by each route and otherwise."""
        return (self.repeat, *(one.repeat for one in self.routes if one.repeat))

    @property
    def is_about_stack(self) -> bool:
        """Return whether the stack itself is watched."""
        return bool(self.channels and self.stack)

    @property
    def secrets(self) -> Mapping[str, SecretRef]:
        """Return the secrets that channels need, by channel."""
        return {name: SecretRef.parse(one.secret) for name, one in self.channels.items() if one.secret}

    @field_validator("channels", "mute")
    @classmethod
    def _are_named(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wrong := [name for name in value if not _NAME.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} should be a name of small letters, digits and -, such as mail")
        return value

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        refuse(self, self._find_unknown())
        return self

    def _find_unknown(self) -> Iterator[Problem]:
        named: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(("to",), self.to)]
        named += [(("routes", str(number), "to"), route.to) for number, route in enumerate(self.routes)]
        named += [(("escalate", "to"), self.escalate.to)] if self.escalate else []
        for path, names in named:
            for name in names:
                if name not in self.channels:
                    yield Problem(path, f"{name!r} is no channel; there are {', '.join(self.channels) or 'none'}")
        for number, route in enumerate(self.routes):
            for name in route.mute:
                if name not in self.mute:
                    known = ", ".join(self.mute) or "none"
                    yield Problem(("routes", str(number), "mute"), f"{name!r} is no name in mute; there are {known}")
