"""Alertmanager's configuration; tests/render has a whole one."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.notify import Notify
from stack.config.settings import ImageSource, Settings
from stack.errors import ConfigError
from stack.plan.image import Archive, BaseImages
from stack.plan.notify import (
    alertmanager_arguments,
    check_notify,
    describe_notify,
    find_integration,
    list_secrets,
    notify_digest,
)
from tests.unit.plan.samples import make_vault

HOOK = {"webhook": {"url": "http://plant.example/x"}}


def describe(**notify: Any) -> dict[str, Any]:
    return describe_notify(parse_model(Notify, notify, name="notify"))


def find_routes(**notify: Any) -> list[dict[str, Any]]:
    """Return the routes behind those of tests and of what no one acknowledges."""
    routes = describe(channels={"a": HOOK, "b": HOOK}, **notify)["route"]["routes"]
    return [one for one in routes if "tidegate_" not in str(one)]


def test_without_channels_no_one_is_told() -> None:
    found = describe()
    assert found["receivers"] == [{"name": "/no-one"}]
    assert found["route"]["routes"][-1] == {"receiver": "/no-one"}


@pytest.mark.parametrize(
    ("notify", "hours"),
    [({}, 120), ({"repeat": "168h"}, 336), ({"routes": [{"to": ["a"], "repeat": "100h"}, {"to": ["a"]}]}, 200)],
)
def test_what_was_told_is_known_until_it_is_told_again(notify: dict[str, Any], hours: int) -> None:
    settings = parse_model(Settings, {"notify": {"channels": {"a": HOOK}, **notify}}, name="stack.yaml")
    arguments = alertmanager_arguments(settings, BaseImages(ImageSource.REGISTRY, Archive("trixie", ())))
    assert f"--data.retention={hours * 3600}s" in arguments


def test_all_channels_of_a_route_are_told() -> None:
    first, second = find_routes()
    assert first == {"receiver": "a", "continue": True}
    assert second == {"receiver": "b"}


def test_the_first_route_that_fits_has_an_alert() -> None:
    first, last = find_routes(to=["b"], routes=[{"severity": ["critical", "warning"], "to": ["a"], "repeat": "90s"}])
    assert first == {"receiver": "a", "matchers": ['severity=~"critical|warning"'], "repeat_interval": "90s"}
    assert last == {"receiver": "b"}


def test_a_route_without_channels_tells_no_one() -> None:
    first, *_ = find_routes(routes=[{"labels": {"a": 'x"y'}}])
    assert first == {"receiver": "/no-one", "matchers": ['a="x\\"y"']}


def test_names_of_alerts_are_no_patterns() -> None:
    first, *_ = find_routes(routes=[{"alerts": ["a.b", 'pump (1) "x"', "c"]}])
    assert first["matchers"] == ['alertname=~"a\\\\.b|pump \\\\(1\\\\) \\"x\\"|c"']


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["22:00-07:00"], [("22:00", "24:00"), ("00:00", "07:00")]),
        (["12:00-13:30"], [("12:00", "13:30")]),
        (["22:00-24:00"], [("22:00", "24:00")]),
        (["22:00-00:00"], [("22:00", "24:00")]),
    ],
)
def test_times_of_silence_may_have_midnight_in_them(times: list[str], expected: list[tuple[str, str]]) -> None:
    (found,) = describe(mute={"night": {"times": times, "days": ["monday-friday"]}})["time_intervals"]
    (interval,) = found["time_intervals"]
    assert [(one["start_time"], one["end_time"]) for one in interval["times"]] == expected
    assert interval["weekdays"] == ["monday", "tuesday", "wednesday", "thursday", "friday"]


def test_days_may_have_the_end_of_the_week_in_them() -> None:
    (found,) = describe(mute={"free": {"days": ["saturday-sunday", "friday-monday"]}})["time_intervals"]
    assert found["time_intervals"][0]["weekdays"] == ["saturday", "sunday", "friday", "monday"]


def test_others_are_told_later_but_for_routes_of_no_one_and_quiet_hours() -> None:
    routes = [{"alerts": ["stack-disk"]}, {"severity": ["critical"], "to": ["a"], "mute": ["night"]}]
    found = describe(
        channels={"a": HOOK, "b": HOOK},
        routes=routes,
        mute={"night": {"times": ["22:00-07:00"]}},
        escalate={"to": ["b"]},
    )["route"]["routes"]
    later = [one for one in found if 'tidegate_escalation="yes"' in one.get("matchers", ())]
    assert [(one["receiver"], one.get("mute_time_intervals")) for one in later] == [
        ("/no-one", None),
        ("b", ["night"]),
        ("b", None),
    ]
    # Each stands before the route that it belongs to, since the first one that fits has an alert.
    plain = [one["matchers"] for one in found if one.get("matchers") and "tidegate_" not in str(one)]
    assert [found.index(one) for one in later][:2] < [
        number for number, one in enumerate(found) if one.get("matchers") in plain
    ]


def test_a_test_is_told_by_a_receiver_of_its_own() -> None:
    own = {"alertmanager": {"pushover_configs": [{"user_key": "a", "token": "b"}]}}
    found = describe(channels={"a": HOOK, "p": own})
    receivers = {one["name"]: one for one in found["receivers"]}
    assert set(receivers) == {"/no-one", "a", "a/test", "p", "p/test"}
    assert receivers["a"]["webhook_configs"][0]["send_resolved"]
    assert not receivers["a/test"]["webhook_configs"][0]["send_resolved"]
    assert not receivers["p/test"]["pushover_configs"][0]["send_resolved"]
    assert receivers["p"]["pushover_configs"] == own["alertmanager"]["pushover_configs"]
    notify = parse_model(Notify, {"channels": {"p": own}}, name="notify")
    assert find_integration(notify.channels["p"]) == "pushover"


def test_a_name_beside_an_address_is_written_as_headers_have_it() -> None:
    mail = {"to": ["Zoë <z@a.example>", "b@a.example"], "from": "Plant <p@a.example>", "server": "a.example:25"}
    (config,) = describe(channels={"m": {"mail": mail}})["receivers"][1]["email_configs"]
    assert (config["to"], config["from"]) == ("=?utf-8?q?Zo=C3=AB?= <z@a.example>, b@a.example", "Plant <p@a.example>")


def test_passwords_are_files() -> None:
    document = {"channels": {"bot": {"telegram": {"chat": 1, "secret": "api.token"}}}}
    settings = parse_model(Settings, {"notify": document}, name="stack.yaml")
    with pytest.raises(ConfigError, match=r"notify.channels.bot: .* Set it: invoke secret set api token"):
        check_notify(settings, make_vault())
    vault = make_vault(api_token=b"s3cret\n")
    check_notify(settings, vault)
    # A line end is no part of a password.
    assert list_secrets(settings.notify, vault) == {"api.token": b"s3cret"}
    (receiver,) = [one for one in describe(**document)["receivers"] if one["name"] == "bot"]
    assert receiver["telegram_configs"][0]["bot_token_file"] == "/etc/tidegate/notify/api.token"


def test_what_is_told_is_part_of_the_digest() -> None:
    one, other = (parse_model(Settings, {"notify": {"wait": wait}}, name="stack.yaml") for wait in ("1s", "1.5s"))
    assert notify_digest(one) != notify_digest(other)
    assert describe_notify(other.notify)["route"]["group_wait"] == "1500ms"
