"""What is told of a bridge."""

import pytest

from stack.plan.bridge_state import BridgeState, explain_end, write_seconds

RUNS = {"to": "running", "from": "running"}
STOPPED = {"to": "terminated", "from": "running"}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (BridgeState("hq", shovels=RUNS), "bridge hq: runs; no message waits."),
        (BridgeState("hq", 1, shovels=RUNS, oldest=3), "bridge hq: runs; 1 message waits, the oldest for 3 s."),
        (
            BridgeState("hq", 1234, 5_000_000, shovels=STOPPED, oldest=7300, reason="it is far away"),
            "bridge hq: does not run: it is far away; 1,234 messages wait (5 MB), the oldest for 2 h.",
        ),
        (BridgeState("plant-7", connections=1), "bridge plant-7: is connected; no message waits."),
        (
            BridgeState("plant-7", 2, connections=1, consumers=0),
            "bridge plant-7: is connected, and fetches nothing; 2 messages wait.",
        ),
        (BridgeState("plant-7"), "bridge plant-7: is not connected; no message waits."),
    ],
)
def test_line_tells_state_and_what_waits(state: BridgeState, text: str) -> None:
    assert str(state) == text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (BridgeState("hq", shovels=RUNS, oldest=60), []),
        (BridgeState("hq", shovels=RUNS, oldest=700), ["lags: a message waits for 12 min."]),
        (BridgeState("hq", shovels=STOPPED, reason="it is so"), ["does not run: it is so."]),
        (
            BridgeState("hq", shovels=RUNS, size=900, most=1000),
            ["has 0 MB of 0 MB waiting; then the oldest go for good."],
        ),
        (
            BridgeState("hq", shovels=RUNS, size=990_000_000, most=1_000_000_000),
            ["is full, 990 MB of 1,000 MB: for each new message the oldest goes for good."],
        ),
        (BridgeState("hq"), ["is not connected."]),
        (
            BridgeState("plant-7", connections=1, consumers=0, most_connections=2),
            ["is connected, and fetches nothing."],
        ),
        (BridgeState("plant-7", connections=2, consumers=1, most_connections=2), []),
        (
            BridgeState("plant-7", connections=4, consumers=2, most_connections=2),
            ["is connected more than once: each message goes to one of them."],
        ),
        (
            BridgeState("plant-7", connections=2, most_connections=1),
            ["is connected more than once: each message goes to one of them."],
        ),
        (
            BridgeState("hq", shovels=STOPPED, oldest=90, buffer=100),
            ["does not run.", "has messages that wait for 90 s, and may for 100 s."],
        ),
    ],
)
def test_trouble_is_what_is_wrong(state: BridgeState, words: list[str]) -> None:
    assert [one.what for one in state.troubles] == words
    assert all(one.subject == f"bridge {state.name}" and one.advice.endswith(".") for one in state.troubles)


@pytest.mark.parametrize(
    ("messages", "advice"),
    [
        (0, "It tries again every few seconds; no message waits."),
        (1, "It tries again every few seconds; 1 message waits, and goes when it does."),
        (1200, "It tries again every few seconds; 1,200 messages wait, and go when it does."),
    ],
)
def test_advice_counts_what_waits(messages: int, advice: str) -> None:
    (trouble,) = BridgeState("hq", messages, shovels=STOPPED).troubles
    assert trouble.advice == advice


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (
            "failed to connect (URI: amqps://hq/%2F): connection to target host was refused (ECONNREFUSED)",
            "its broker takes no connections at that port",
        ),
        (
            "failed to connect (URI: amqp://hq): target hostname cannot be resolved (NXDOMAIN)",
            "no one knows the name of its host",
        ),
        (
            "failed to connect (URI: amqp://hq): ACCESS_REFUSED - Login was refused using mechanism PLAIN.",
            "its broker does not let the account in",
        ),
        (
            'failed to connect (URI: amqp://hq): {tls_alert,{unknown_ca,"TLS client: Unknown CA"}}',
            "its certificate is vouched for by none of `ca`",
        ),
        (
            "detected failure: {server_initiated_close,404,<<\"NOT_FOUND - no exchange 'iot/sensors' in vhost '/'\">>}",
            "its broker has no exchange iot/sensors",
        ),
        (
            "is stopping: one of its connections closed with code 403, reason: ACCESS_REFUSED - write access to topic "
            "'other.7' in exchange 'amq.topic' in vhost '/' refused for user 'me'",
            "the account may not publish to other.7, which `receive` there does not name",
        ),
        (
            'failed to connect (URI: amqps://10.1.2.3): {tls_alert,{bad_certificate,"TLS client: In state wait_cert: '
            'Bad Certificate\\n {bad_cert,\\n {hostname_check_failed,\\n {requested,[]}}}"}}',
            "its certificate is for another name",
        ),
        (
            "is stopping, reason: <<\"ACCESS_REFUSED - write access to topic 'plant.8' in 'amq.topic' refused\">>",
            "the account may not publish to plant.8, which `receive` there does not name",
        ),
        (
            "is stopping, reason: <<\"ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused\">>",
            "its broker has no queue q, by `name` of its bridge and `site` here",
        ),
        (
            "is stopping: one of its connections closed with code 403, reason: ACCESS_REFUSED - configure access to "
            "queue 'tidegate-bridge-hq' in vhost '/' refused for user 'tidegate-bridge-hq'",
            "there is no queue 'tidegate-bridge-hq' here; `invoke up` makes it",
        ),
        (
            'failed to connect (URI: amqps://hq): {tls_alert,{certificate_expired,"TLS client: Certificate Expired"}}',
            "its certificate is not of this time, or the clock here is wrong",
        ),
        (
            "failed to connect (URI: amqps://gateway-control:5700/%2F): closed",
            "its broker cannot be reached, or closes connections at once",
        ),
        ("failed to connect (URI: amqp://hq): {odd,thing}.", "{odd,thing}"),
    ],
)
def test_reason_is_told_in_plain_words(said: str, meaning: str) -> None:
    log = (
        f"earlier\nShovel 'tidegate-bridge-hq' in virtual host '/' {said}\nShovel 'other' in virtual host '/' is fine\n"
    )
    assert explain_end(log, "tidegate-bridge-hq") == meaning


def test_no_reason_is_told_where_the_log_has_none() -> None:
    assert not explain_end("Shovel 'tidegate-bridge-hq' is well", "tidegate-bridge-hq")
    assert not explain_end("", "tidegate-bridge-hq")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "0 s"), (59.6, "60 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_time_is_written_as_people_do(seconds: float | None, text: str) -> None:
    assert write_seconds(seconds) == text
