"""The demo's accounts."""

from datetime import UTC, datetime

from stack.plan.demo import Alert, Scoreboard, Seconds, read_alert
from stack.plan.device import AMQP, MQTT, Reading

SECONDS = Seconds(images=0.0, up=1.234, deploy=0.5, messages=0.25)


def reading(identity: str, value: str = "20.0") -> Reading:
    return Reading(identity, "sensor-1", value)


def scoreboard(*readings: Reading, mqtt: tuple[Reading, ...] = ()) -> Scoreboard:
    made = Scoreboard({AMQP: readings, MQTT: mqtt})
    for number, one in enumerate((*readings, *mqtt)):
        made.note_sent(one, float(number))
    return made


def test_feedback_is_matched_by_its_correlation() -> None:
    accounts = scoreboard(reading("a"), reading("b", "21.0"))
    is_own, answer = accounts.note_feedback("Invoked Function amqpconsume on 21.0", "b", time=1.5)
    assert is_own
    assert answer is not None
    assert (answer.reading.identity, answer.function, answer.latency) == ("b", "amqpconsume", 0.5)
    assert accounts.missing() == {"amqpconsume": 1}


def test_a_repeated_delivery_is_logged_and_handled_once() -> None:
    accounts = scoreboard(reading("a"))
    accounts.note_feedback("Invoked Function amqpconsume on 20.0", "a", time=1.0)
    is_own, answer = accounts.note_feedback("Invoked Function amqpconsume on 20.0", "a", time=2.0)
    assert (is_own, answer) == (True, None)
    verdict = accounts.verdict(SECONDS)
    assert (verdict.sent, verdict.handled, verdict.logged, verdict.lost) == (1, 1, 2, 0)


def test_feedback_to_others_is_not_of_this_demo() -> None:
    accounts = scoreboard(reading("a"))
    assert accounts.note_feedback("Invoked Function amqpconsume on 20.0", "other", time=1.0) == (False, None)
    assert accounts.note_feedback("hello", "", time=1.0) == (False, None)
    assert accounts.verdict(SECONDS).lost == 1


def test_without_a_correlation_the_text_decides_in_the_order_of_sending() -> None:
    accounts = scoreboard(reading("a"), reading("b"), mqtt=(reading("c"),))
    found = [accounts.note_feedback("Invoked Function amqpconsume on 20.0", "", time=9.0)[1] for _ in range(3)]
    assert [answer.reading.identity if answer else "" for answer in found] == ["a", "b", ""]
    _, answer = accounts.note_feedback("Invoked Function mqttconsume on 20.0", "", time=9.0)
    assert answer is not None
    assert answer.reading.identity == "c"


def test_older_feedback_without_a_correlation_is_passed_over() -> None:
    accounts = scoreboard(reading("a"))
    accounts.skip(1)
    assert accounts.note_feedback("Invoked Function amqpconsume on 20.0", "", time=1.0) == (False, None)
    assert accounts.note_feedback("Invoked Function amqpconsume on 20.0", "", time=1.0)[0]


def test_a_reading_sent_again_counts_once_from_its_first_time() -> None:
    accounts = scoreboard(reading("a"))
    accounts.note_sent(reading("a"), 5.0)
    _, answer = accounts.note_feedback("Invoked Function amqpconsume on 20.0", "a", time=6.0)
    assert accounts.sent == 1
    assert answer is not None
    assert answer.latency == 6.0


def test_the_verdict_is_the_document_that_json_prints() -> None:
    many = [reading(str(number)) for number in range(100)]
    accounts = Scoreboard({AMQP: many})
    for number, one in enumerate(many):
        accounts.note_sent(one, 0.0)
        accounts.note_feedback("Invoked Function amqpconsume on 20.0", one.identity, time=(number + 1) / 1000)
    accounts.alerts = 3
    assert accounts.verdict(SECONDS).document() == {
        "sent": 100,
        "handled": 100,
        "logged": 100,
        "lost": 0,
        "alerts": 3,
        "latency_ms": {"p50": 50.0, "p99": 99.0},
        "seconds": {"images": 0.0, "up": 1.23, "deploy": 0.5, "messages": 0.25},
    }


def test_a_demo_of_which_nothing_came_back_has_no_latency() -> None:
    assert scoreboard(reading("a")).verdict(SECONDS).latency_ms == {"p50": None, "p99": None}


def test_only_new_alerts_count() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    text = '{{"sensor": "s", "state": "high", "average": 25.5, "threshold": 25.0, "time": "{}"}}'
    assert read_alert(text.format("2026-01-01T00:00:01+00:00"), since) == Alert("s", "high", 25.5)
    assert read_alert(text.format("2025-12-31T23:59:59+00:00"), since) is None
    assert read_alert(text.format("yesterday"), since) is None
    assert read_alert(text.format("2026-01-01T00:00:01"), since) is None
    assert read_alert("25.5", since) is None
    assert read_alert("no json", since) is None
