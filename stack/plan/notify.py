"""Alertmanager's configuration: to whom which alerts go, and what they say."""

import posixpath
from collections.abc import Iterator, Sequence
from email.utils import formataddr, parseaddr
from typing import Any

from stack.config.environment import SecretContent, SecretRef
from stack.config.notify import Channel, Mute, Notify, Route, list_days
from stack.config.settings import FILE, Settings
from stack.contract import ESCALATION, OWN_LABELS, parse_duration
from stack.errors import ConfigError
from stack.plan.alert import escape_pattern
from stack.plan.image import BaseImages, digest
from stack.plan.secret import Vault
from stack.plan.template import fill, write_yaml

SERVICE = "alertmanager"
PORT = 9093
VOLUME = "alertmanager-data"
MEMORY = 256 * 1024**2
CONFIG, MESSAGES = "alertmanager/alertmanager.yml", "alertmanager/message.tmpl"
MOUNTED, FOLDER = "alertmanager", "/etc/tidegate/alertmanager"
# The copies of passwords: below .stack/, and where the container sees them.
SECRETS_MOUNTED, SECRETS_FOLDER = "secrets/notify", "/etc/tidegate/notify"
# An alert with this label goes to the channel that it names, and to no other, which is not told when it is over.
CHANNEL_LABEL = f"{OWN_LABELS}channel"
TEST = "/test"
# Releases whose Alertmanager counts by kind, and not by channel, what it has told.
_COUNT_KINDS = ("jammy", "noble", "bookworm")
# The integration of each kind of channel, as Alertmanager's figures name it.
INTEGRATIONS = {"mail": "email", "telegram": "telegram", "webhook": "webhook", "slack": "slack"}
# The receiver of what no one is told of; no channel has the sign.
NO_ONE = "/no-one"
_TITLE, _TEXT = '{{ template "tidegate.title" . }}', '{{ template "tidegate.text" . }}'
# Seconds for which it knows whom it has told of what, as by default.
_REMEMBERED = 120 * 3600.0
_END_OF_DAY = "24:00"


def alertmanager_arguments(settings: Settings, base_images: BaseImages) -> list[str]:
    """Return what Alertmanager is started with."""
    dashboard, longest = settings.dashboard_url, max(map(parse_duration, settings.notify.repeats))
    counts = base_images.is_registry or base_images.archive.codename not in _COUNT_KINDS
    return [
        # Where people look at what it has told, and not at itself.
        *([f"--web.external-url={dashboard}", "--web.route-prefix=/"] if dashboard else []),
        *(["--enable-feature=receiver-name-in-metrics"] if counts else []),
        f"--config.file={FOLDER}/{posixpath.basename(CONFIG)}",
        "--storage.path=/alertmanager",
        # It tells again of what it has forgotten, which else is after 120 hours.
        f"--data.retention={max(_REMEMBERED, longest * 2):.0f}s",
        # What was told, and silences, are on the disk so often: one that is killed tells people nothing twice.
        "--data.maintenance-interval=1s",
        "--cluster.listen-address=",
        f"--web.listen-address=:{PORT}",
        # Also what worked after it had failed.
        "--log.level=info",
    ]


def check_notify(settings: Settings, vault: Vault) -> None:
    """Refuse channels that could not tell anyone.

    Raises:
        ConfigError: a secret is missing.
    """
    problems = [
        f"{FILE}: notify.channels.{name}: there is no secret {ref}. Set it: invoke secret set {ref.name} {ref.key}"
        for name, ref in settings.notify.secrets.items()
        if ref not in vault.contents
    ]
    if problems:
        raise ConfigError(problems)


def list_secrets(notify: Notify, vault: Vault) -> dict[str, bytes]:
    """Return the files with passwords, by name."""
    found = {str(ref): vault.contents.get(ref, SecretContent(b"")) for ref in notify.secrets.values()}
    return {name: content.get_secret_value().strip() for name, content in found.items()}


def render_notify(settings: Settings) -> dict[str, bytes]:
    """Render Alertmanager's configuration, and how its messages look."""
    return {
        CONFIG: write_yaml(describe_notify(settings.notify)),
        MESSAGES: fill(MESSAGES, {"channel_label": CHANNEL_LABEL}),
    }


def notify_digest(settings: Settings) -> str:
    """Return a digest of what Alertmanager has to be started again for when it changes."""
    return digest(list(render_notify(settings).values()))


def describe_notify(notify: Notify) -> dict[str, Any]:
    """Return Alertmanager's configuration."""
    found: dict[str, Any] = {
        "templates": [posixpath.basename(MESSAGES)],
        "route": {
            "receiver": NO_ONE,
            "group_by": list(notify.group),
            "group_wait": _write_duration(notify.wait),
            "group_interval": _write_duration(notify.interval),
            "repeat_interval": _write_duration(notify.repeat),
            "routes": list(_list_routes(notify)),
        },
        "receivers": [{"name": NO_ONE}, *_list_receivers(notify)],
    }
    if notify.mute:
        found["time_intervals"] = [
            {"name": name, "time_intervals": [_describe_mute(one)]} for name, one in notify.mute.items()
        ]
    return found


def _list_routes(notify: Notify) -> Iterator[dict[str, Any]]:
    """Yield the routes in the order in which the first one that fits has an alert."""
    for name in notify.channels:
        quick = {"group_wait": "0s", "repeat_interval": "1m", "group_by": ["..."]}
        yield {"receiver": name + TEST, "matchers": [_match(CHANNEL_LABEL, name)], **quick}
    for route in notify.routes:
        described = _describe_route(route)
        # Who is told of an alert later is not told of one of which no one is, and is left alone in quiet hours.
        matchers = [*described.get("matchers", []), _match(ESCALATION, "yes")]
        yield from _split(_find_later(notify) if route.to else (), described | {"matchers": matchers})
        yield from _split(route.to, described)
    yield from _split(_find_later(notify), {"matchers": [_match(ESCALATION, "yes")]})
    yield from _split(notify.default, {})


def _find_later(notify: Notify) -> Sequence[str]:
    """Return the channels that are told where no one has acknowledged an alert."""
    return notify.escalate.to if notify.escalate else ()


def _split(channels: Sequence[str], route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a route for each of its channels: Alertmanager goes on after all but the last."""
    for name in channels[:-1]:
        yield {"receiver": name, **route, "continue": True}
    yield {"receiver": channels[-1] if channels else NO_ONE, **route}


def _describe_route(route: Route) -> dict[str, Any]:
    matchers = [_match(name, value) for name, value in route.labels.items()]
    matchers += [_match_any("severity", route.severity)] if route.severity else []
    matchers += [_match_any("alertname", route.alerts)] if route.alerts else []
    return {
        **({"matchers": matchers} if matchers else {}),
        **({"mute_time_intervals": list(route.mute)} if route.mute else {}),
        **({"repeat_interval": _write_duration(route.repeat)} if route.repeat else {}),
    }


def _match(name: str, value: str) -> str:
    return f"{name}={_quote(value)}"


def _match_any(name: str, values: Sequence[str]) -> str:
    # Alertmanager has a list of values as a regular expression only; names of messages' alerts may have any sign.
    return f"{name}=~{_quote('|'.join(map(escape_pattern, values)))}"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _describe_mute(mute: Mute) -> dict[str, Any]:
    times = [part for text in mute.times for part in _split_times(text)]
    return {
        **({"times": times} if times else {}),
        **(
            {"weekdays": list(dict.fromkeys(day for days in mute.days for day in list_days(days)))} if mute.days else {}
        ),
        "location": mute.zone,
    }


def _split_times(text: str) -> list[dict[str, str]]:
    """Return a time of the day, or, where midnight is in it, two."""
    start, end = text.split("-")
    if start < end:
        return [{"start_time": start, "end_time": end}]
    parts = [(start, _END_OF_DAY), ("00:00", end)]
    return [{"start_time": first, "end_time": last} for first, last in parts if first != last]


def _list_receivers(notify: Notify) -> Iterator[dict[str, Any]]:
    for name, channel in notify.channels.items():
        yield _describe_channel(name, channel)
        yield _describe_channel(name + TEST, channel.model_copy(update={"resolved": False}))


def find_integration(channel: Channel) -> str:
    """Return what a channel is called in Alertmanager's figures."""
    return INTEGRATIONS.get(channel.kind) or next(iter(channel.alertmanager)).removesuffix("_configs")


def _describe_channel(name: str, channel: Channel) -> dict[str, Any]:
    sends = {"send_resolved": channel.resolved}
    if channel.alertmanager:
        # What it says itself of the end of an alert stays so, but in a test.
        tests = {} if channel.resolved else sends
        return {"name": name, **{key: [one | tests for one in many] for key, many in channel.alertmanager.items()}}
    describe = {"mail": _describe_mail, "telegram": _describe_telegram, "webhook": _describe_webhook}
    config = describe.get(channel.kind, _describe_slack)(channel)
    return {"name": name, f"{INTEGRATIONS[channel.kind]}_configs": [config | sends]}


def _describe_mail(channel: Channel) -> dict[str, Any]:
    mail = channel.mail
    assert mail
    login = {"auth_username": mail.user} if mail.user else {}
    login |= {"auth_password_file": _find_file(mail.secret)} if mail.secret else {}
    return {
        "to": ", ".join(map(_write_address, mail.to)),
        "from": _write_address(mail.from_),
        "smarthost": mail.server,
        **login,
        "require_tls": mail.tls,
        "headers": {"Subject": _TITLE},
        "html": "",
        "text": _TEXT,
    }


def _write_address(text: str) -> str:
    """Return an address with its name as headers have it: Alertmanager would encode both as one word."""
    name, address = parseaddr(text)
    return text if text.isascii() or not address.isascii() else formataddr((name, address))


def _describe_telegram(channel: Channel) -> dict[str, Any]:
    telegram = channel.telegram
    assert telegram
    # No mark-up: a label may have any sign.
    return {
        "chat_id": telegram.chat,
        "bot_token_file": _find_file(telegram.secret),
        "parse_mode": "",
        "message": f"{_TITLE}\n{_TEXT}",
    }


def _describe_webhook(channel: Channel) -> dict[str, Any]:
    webhook = channel.webhook
    assert webhook
    return {"url_file": _find_file(webhook.secret)} if webhook.secret else {"url": webhook.url}


def _describe_slack(channel: Channel) -> dict[str, Any]:
    slack = channel.slack
    assert slack
    place = {"channel": slack.channel} if slack.channel else {}
    return {"api_url_file": _find_file(slack.secret), **place, "title": _TITLE, "text": _TEXT}


def _find_file(secret: str) -> str:
    return f"{SECRETS_FOLDER}/{SecretRef.parse(secret)}"


def _write_duration(text: str) -> str:
    """Return a duration as Alertmanager reads it, which knows no fractions."""
    milliseconds = round(parse_duration(text) * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
