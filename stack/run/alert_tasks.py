"""The tasks about alerts, and how people are told of them."""

from invoke import Context, Exit

from stack.cli import JSON_HELP, verb


@verb(
    "action",
    "name",
    iterable=["labels"],
    help={
        "action": "silence, acknowledge or unsilence; if left out, list those that fire",
        "name": "an alert; all if left out",
        "labels": "NAME=VALUE, which they are to have; may be given several times",
        "duration": "how long no one is told, such as 30m; if left out, 2h, or a day where it is acknowledged",
        "comment": "why, for others to read",
        **JSON_HELP,
    },
)
def alerts(
    _: Context,
    action: str = "",
    name: str = "",
    labels: list[str] | None = None,
    duration: str = "",
    comment: str = "",
    json: bool = False,
) -> None:
    """List the alerts that fire; end reminders of one, or have no one told of it for a while."""
    from stack.run.alert import AlertRequest, handle_alerts
    from stack.run.readings import read_labels

    handle_alerts(AlertRequest(action, name, read_labels(labels or ()), duration, comment), as_json=json)


@verb("name", help={"name": "an alert; all if left out"})
def test_alerts(_: Context, name: str = "") -> None:
    """Run the tests in alerts/, by vmalert's own tool."""
    from stack.run.alert_test import run_alert_tests

    raise Exit(code=run_alert_tests(name))


@verb("channel", help={"channel": "its name in notify.channels of stack.yaml"})
def notify_test(_: Context, channel: str) -> None:
    """Send a test by one channel, and say whether it was delivered."""
    from stack.run.notify import run_channel_test

    run_channel_test(channel)
