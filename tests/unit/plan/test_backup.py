"""What a backup says of its queues and definitions, and how a restored broker is compared with it."""

from typing import Any

from stack.plan.backup import QueueCount, Sample, bound_counts, compare_definitions, compare_queues, keep_lasting

DEFINITIONS: dict[str, Any] = {
    "exchanges": [{"name": "lasting", "durable": True}, {"name": "passing", "durable": False}],
    "queues": [{"name": "q", "durable": True, "arguments": {"x-queue-type": "quorum"}}],
    "bindings": [
        {"source": "lasting", "destination": "q", "destination_type": "queue", "routing_key": "a"},
        {"source": "amq.topic", "destination": "q", "destination_type": "queue", "routing_key": "b"},
        {"source": "passing", "destination": "q", "destination_type": "queue", "routing_key": "c"},
    ],
    "users": [{"name": "guest", "password_hash": "1", "tags": ["monitoring"]}],
}


def test_what_stays_is_exact_and_what_moves_has_bounds() -> None:
    before = {"still": Sample(20), "busy": Sample(5, held=2, published=100, taken=93), "gone": Sample(1)}
    after = {"still": Sample(20), "busy": Sample(4, held=1, published=110, taken=105), "new": Sample(1)}
    assert bound_counts(before, after) == {
        "still": QueueCount(least=20, most=20),
        "busy": QueueCount(least=0, most=17),
    }


def test_queues_are_compared_by_their_messages() -> None:
    wanted = {name: QueueCount(least=2, most=3) for name in ("same", "fewer", "gone", "more")}
    assert compare_queues(wanted, {"same": 3, "fewer": 1, "more": 4, "other": 7}) == (
        "the queue gone is missing",
        "the queue fewer holds 1 messages, and held 2 to 3",
        "the queue more holds 4 messages, and held 2 to 3",
    )


def test_what_a_broker_says_of_itself_when_it_starts_is_no_difference() -> None:
    wanted = {name: QueueCount(least=2, most=2) for name in ("tidegate-devices", "tidegate-devices-messages")}
    assert compare_queues(wanted, {"tidegate-devices": 350, "tidegate-devices-messages": 2}) == ()
    assert compare_queues(wanted, {"tidegate-devices": 1, "tidegate-devices-messages": 350}) == (
        "the queue tidegate-devices holds 1 messages, and held 2",
        "the queue tidegate-devices-messages holds 350 messages, and held 2",
    )


def test_message_that_waits_for_another_try_may_be_back_in_its_queue() -> None:
    wanted = {"q": QueueCount(least=1, most=1), "q.retry.1000ms": QueueCount(least=2, most=2)}
    assert compare_queues(wanted, {"q": 3, "q.retry.1000ms": 0}) == ()
    assert compare_queues(wanted, {"q": 2, "q.retry.1000ms": 0}) == ("the queue q holds 2 messages, and held 3",)


def test_same_definitions_differ_in_nothing_whatever_else_is_there() -> None:
    more = {**DEFINITIONS, "queues": [*DEFINITIONS["queues"], {"name": "other", "durable": True}]}
    hashed_anew = [{"name": "guest", "password_hash": "2", "tags": ["monitoring"]}]
    assert compare_definitions(DEFINITIONS, more | {"users": hashed_anew}) == ()


def test_what_does_not_outlast_a_start_is_not_missed() -> None:
    found = {**DEFINITIONS, "exchanges": DEFINITIONS["exchanges"][:1], "bindings": DEFINITIONS["bindings"][:2]}
    assert compare_definitions(DEFINITIONS, found) == ()


def test_missing_binding_and_changed_queue_are_told() -> None:
    found = {
        **DEFINITIONS,
        "bindings": DEFINITIONS["bindings"][1:],
        "queues": [{"name": "q", "durable": True, "arguments": {}}],
    }
    lines = compare_definitions(DEFINITIONS, found)
    assert [line.partition(":")[0] for line in lines] == ["queues", "bindings"]
    assert '"routing_key": "a"' in lines[1]


def test_what_lasts_is_declared_again_where_no_data_is_restored() -> None:
    kept = keep_lasting({**DEFINITIONS, "parameters": [{"name": "a-bridge"}]})
    assert {kind: len(found) for kind, found in kept.items() if found} == {
        "exchanges": 1,
        "queues": 1,
        "bindings": 2,
        "users": 1,
    }
