"""The broker changed by hand, in thirty ways and more: each is found, mended, and no message is lost for it."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import pika
import pytest

from stack.config.environment import Secret
from stack.docker.stack import Stack, open_stack
from stack.errors import BrokerError
from stack.plan.account import ADMINISTRATOR
from stack.plan.broker import Credentials, hash_password
from stack.rabbitmq import connection
from stack.rabbitmq.dead_letter import Choice, replay_letters
from stack.rabbitmq.drift import survey_stack_broker
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.repair import mend_stack_broker
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.workspace import Workspace, fetch, run_docker, wait_until

NAME = "drifter"
# It takes its time, so that messages wait while its queue is changed; what it is told to it refuses.
CODE = """
import time

def handler(context, event):
    time.sleep(0.005)
    if event.body.startswith(b"refuse"):
        raise ValueError("refused")
    context.logger.info(f"got {event.body.decode()} at {event.path};")
"""
CONFIG = """
spec:
  triggers:
    orders:
      kind: rabbit-mq
      attributes: {exchangeName: drift/e, queueName: drift/q, topics: [a.*], maxRetries: 1}
    heat:
      kind: mqtt
      attributes: {subscriptions: [{topic: drift/+/heat}], queueName: drift/heat}
    taken:
      kind: rabbit-mq
      attributes: {queueName: drift/taken}
"""
QUEUES = ("drift/q", "drift/heat", "drift/taken", "drift/q.dead", "drift/q.retry.1000ms")

# What somebody asks the management API, one request after the other.
Request = tuple[str, str, Any]


def at(kind: str, *names: str) -> str:
    return "/".join(["/api", kind, "%2F", *(quote(name, safe="") for name in names)])


QUEUE, HEAT, TAKEN, DEAD, RETRY = (at("queues", name) for name in QUEUES)
EXCHANGE = at("exchanges", "drift/e")
BINDING = at("bindings", "e", "drift/e", "q", "drift/q", "a.%2A").replace("%25", "%")
HEAT_BINDING = at("bindings", "e", "amq.topic", "q", "drift/heat", "drift.%2A.heat").replace("%25", "%")
BOUND = at("bindings", "e", "drift/e", "q", "drift/q")
QUORUM = {"x-queue-type": "quorum"}
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
_GONE = Credentials("function-gone", Secret("word"))
GONE = {"name": _GONE.username, "password_hash": hash_password(_GONE), "tags": []}
# A person's account, and a policy that is rendered.
USER, POLICY = "guest", "tidegate-dead-quorum"


def again(path: str, **given: Any) -> list[Request]:
    """Delete a queue or an exchange, and declare it otherwise."""
    return [("DELETE", path, None), ("PUT", path, given)]


def apply_policy(kind: str, pattern: str, definition: dict[str, Any]) -> list[Request]:
    document = {"pattern": pattern, "definition": definition, "priority": 7, "apply-to": "queues"}
    return [("PUT", at(kind, "by-hand"), document)]


CHANGES: dict[str, tuple[list[Request], str]] = {
    "queue deleted": ([("DELETE", QUEUE, None)], "queue drift/q"),
    "queue of mqtt deleted": ([("DELETE", HEAT, None)], "queue drift/heat"),
    "queue taken as it is deleted": ([("DELETE", TAKEN, None)], "queue drift/taken"),
    "queue of another type": (again(QUEUE, durable=True), "queue drift/q"),
    "queue not durable": (again(QUEUE, durable=False), "queue drift/q"),
    "queue auto-delete": (again(QUEUE, durable=True, auto_delete=True), "queue drift/q"),
    "queue bounded": (again(QUEUE, durable=True, arguments=QUORUM | {"x-max-length": 9}), "queue drift/q"),
    "queue that forgets": (again(QUEUE, durable=True, arguments=QUORUM | {"x-message-ttl": 9}), "queue drift/q"),
    "queue with dead letters elsewhere": (
        again(QUEUE, durable=True, arguments=QUORUM | {"x-dead-letter-exchange": "amq.fanout"}),
        "queue drift/q",
    ),
    "retries without an end": (again(RETRY, durable=True, arguments=QUORUM), "queue drift/q.retry.1000ms"),
    "retries to somewhere else": (
        again(RETRY, durable=True, arguments={"x-message-ttl": 1000, "x-dead-letter-exchange": "amq.fanout"}),
        "queue drift/q.retry.1000ms",
    ),
    "dead letters that expire": (again(DEAD, durable=True, arguments={"x-expires": 99_000}), "queue drift/q.dead"),
    "dead letters not durable": (again(DEAD, durable=False), "queue drift/q.dead"),
    "binding deleted": ([("DELETE", BINDING, None)], "binding drift/e → drift/q (a.*)"),
    "binding of mqtt deleted": ([("DELETE", HEAT_BINDING, None)], "binding amq.topic → drift/heat (drift.*.heat)"),
    "binding with another key": (
        [("DELETE", BINDING, None), ("POST", BOUND, {"routing_key": "b.*"})],
        "binding drift/e → drift/q (a.*)",
    ),
    "binding with arguments": (
        [("DELETE", BINDING, None), ("POST", BOUND, {"routing_key": "a.*", "arguments": {"x": 1}})],
        "binding drift/e → drift/q (a.*)",
    ),
    "exchange deleted": ([("DELETE", EXCHANGE, None)], "exchange drift/e"),
    "exchange of another type": (again(EXCHANGE, type="fanout"), "exchange drift/e"),
    "exchange durable": (again(EXCHANGE, type="topic", durable=True), "exchange drift/e"),
    "exchange auto-delete": (again(EXCHANGE, type="topic", durable=False, auto_delete=True), "exchange drift/e"),
    "exchange internal": (again(EXCHANGE, type="topic", durable=False, internal=True), "exchange drift/e"),
    "exchange with an alternate": (
        again(EXCHANGE, type="topic", durable=False, arguments={"alternate-exchange": "amq.fanout"}),
        "exchange drift/e",
    ),
    "policy deleted": ([("DELETE", at("policies", POLICY), None)], f"policy {POLICY}"),
    "policy changed": (
        [("PUT", at("policies", POLICY), {"pattern": "dead$", "definition": {"max-length": 1}, "priority": 2})],
        f"policy {POLICY}",
    ),
    "policy overridden": (apply_policy("policies", "^drift", {"max-length": 9999}), "policy by-hand"),
    "policy of an operator": (
        apply_policy("operator-policies", "^drift", {"max-length": 9999}),
        "operator policy by-hand",
    ),
    "user limited in connections": (
        [("PUT", f"/api/user-limits/{USER}/max-connections", {"value": 99})],
        f"limit max-connections of user {USER}",
    ),
    "user limited in channels": (
        [("PUT", f"/api/user-limits/{USER}/max-channels", {"value": 999})],
        f"limit max-channels of user {USER}",
    ),
    "virtual host limited in queues": (
        [("PUT", at("vhost-limits", "max-queues"), {"value": 999})],
        "limit max-queues of virtual host /",
    ),
    "virtual host limited in connections": (
        [("PUT", at("vhost-limits", "max-connections"), {"value": 999})],
        "limit max-connections of virtual host /",
    ),
    "permissions widened": ([("PUT", at("permissions", USER), EVERYTHING)], f"permissions of {USER}"),
    "permissions narrowed": (
        [("PUT", at("permissions", USER), EVERYTHING | {"write": "^drift"})],
        f"permissions of {USER}",
    ),
    "permissions deleted": ([("DELETE", at("permissions", USER), None)], f"permissions of {USER}"),
    "permissions of topics": (
        [("PUT", at("topic-permissions", USER), {"exchange": "amq.topic", "write": "^$", "read": "^$"})],
        f"topic permissions of {USER} on amq.topic",
    ),
    "clients of mqtt led elsewhere": (
        [("PUT", "/api/global-parameters/mqtt_default_vhosts", {"value": {"O=client": "elsewhere"}})],
        "global parameter mqtt_default_vhosts",
    ),
    "user with other tags": (
        [("PUT", f"/api/users/{USER}", {"password": USER, "tags": "policymaker"})],
        f"user {USER}",
    ),
    "user with another password": ([("PUT", f"/api/users/{USER}", {"password": "x", "tags": ""})], f"user {USER}"),
    "administrator without rights": (
        [("PUT", f"/api/users/{ADMINISTRATOR}", {"password": "x", "tags": ""})],
        f"user {ADMINISTRATOR}",
    ),
    "user deleted": ([("DELETE", f"/api/users/{USER}", None)], f"user {USER}"),
    "user of a function that was deleted without the broker": (
        [("POST", "/api/definitions", {"users": [GONE]})],
        "user function-gone",
    ),
}


def open_own(workspace: Workspace) -> Stack:
    return open_stack(StackWorkspace(workspace.root))


def find(stack: Stack) -> set[str]:
    """Return what is told of now."""
    found = survey_stack_broker(stack)
    assert found.is_locked or not found.problem, found.problem
    return {one.subject for one in found.changes(find_broker(stack).credentials.username)}


def connect(stack: Stack) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(find_broker(stack).amqp_url))


def publish(stack: Stack, bodies: Sequence[str], exchange: str = "drift/e", key: str = "a.b") -> None:
    with connect(stack) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            properties = pika.BasicProperties(delivery_mode=2, headers={"own": body})
            channel.basic_publish(exchange, key, body.encode(), properties, mandatory=True)


def count(stack: Stack, queue: str) -> int:
    with connect(stack) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def heard(workspace: Workspace) -> list[str]:
    """Return which messages the function has handled, in order, with the paths that it was told."""
    logs = (run_docker("logs", one) for one in workspace.containers(f"function-{NAME}"))
    text = "".join(log.stdout + log.stderr for log in logs)
    return [part.partition(";")[0] for part in text.split("got ")[1:]]


@pytest.fixture(scope="module")
def drifter(workspace: Workspace) -> Iterator[Workspace]:
    """The session's workspace with a function that is deployed and has failed once, and now has no container."""
    workspace.write_function(NAME, CODE, CONFIG)
    workspace.invoke("deploy-function", NAME)
    stack = open_own(workspace)
    publish(stack, ["refuse"])
    wait_until(lambda: "drift/q.dead" in find_broker(stack).queues(), seconds=60, what="a dead letter")
    yield workspace
    workspace.note_images()
    workspace.invoke("delete-function", NAME, "--yes", check=False)
    broker = find_broker(stack)
    for name in (*QUEUES, "drift/own"):
        broker.delete_queue(name)
    broker.request("DELETE", EXCHANGE)
    shutil.rmtree(workspace.root / "functions" / NAME)


def test_a_queue_is_moved_while_messages_come(drifter: Workspace) -> None:
    """From a classic queue, as older versions declare it, to a quorum queue; some messages fail meanwhile."""
    stack = open_own(drifter)
    broker = find_broker(stack)
    for method, path, document in [*again(QUEUE, durable=True), ("POST", BOUND, {"routing_key": "a.*"})]:
        broker.request(method, path, document)
    sent = [f"n{number}" for number in range(800)]
    publisher = Thread(target=publish, args=(stack, sent))
    publisher.start()
    # None wait where they come more slowly than they are handled.
    wait_until(lambda: count(stack, "drift/q") > 50 or not publisher.is_alive(), seconds=60, what="messages that wait")
    drifter.invoke("up")
    publisher.join()
    assert find(stack) == set()
    assert not [name for name in broker.queues() if name.endswith(".moving")]
    wait_until(lambda: len(set(heard(drifter))) >= len(sent), seconds=60, what="the last message")
    assert set(heard(drifter)) == {f"{body} at drift/e/a.b" for body in sent}


def fill(stack: Stack, confirmed: list[str], is_over: Event, seconds: float) -> None:
    """Publish large messages until it is over, or for so long, and note which ones the broker has taken."""
    until = time.monotonic() + seconds
    with connect(stack) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        while not is_over.is_set() and time.monotonic() < until:
            body, properties = f"f{len(confirmed)} {'x' * 10_000}", pika.BasicProperties(delivery_mode=2)
            with suppress(pika.exceptions.NackError):
                channel.basic_publish("drift/e", "a.b", body.encode(), properties, mandatory=True)
                confirmed.append(body)


def test_a_full_queue_is_replaced_while_messages_come(drifter: Workspace) -> None:
    drifter.invoke("scale-function", NAME, "0")
    drifter.configure(queue={"megabytes": 1})
    drifter.invoke("up")
    try:
        stack, confirmed = open_own(drifter), list[str]()
        broker = find_broker(stack)
        for method, path, document in [*again(QUEUE, durable=True), ("POST", BOUND, {"routing_key": "a.*"})]:
            broker.request(method, path, document)
        is_mended = Event()
        fill(stack, confirmed, is_mended, 1)
        publisher = Thread(target=fill, args=(stack, confirmed, is_mended, 30))
        publisher.start()
        try:
            assert mend_stack_broker(stack)
        finally:
            is_mended.set()
            publisher.join()
        assert find(stack) == set()
        with connect(stack) as connection:
            found = [body.decode() for _, _, body in read_all(connection.channel(), "drift/q")]
        assert set(found) >= set(confirmed) and len(confirmed) > 150
    finally:
        broker.request("DELETE", f"{QUEUE}/contents")
        drifter.configure(queue={"megabytes": 1000})
        drifter.invoke("up")


def read_all(channel: Any, queue: str) -> Iterator[tuple[Any, Any, bytes]]:
    while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
        yield message


def test_nothing_is_told_of_a_broker_at_work(drifter: Workspace) -> None:
    stack = open_own(drifter)
    publish(stack, ["refuse", *(f"q{number}" for number in range(200))])
    broker = find_broker(stack)
    broker.request("PUT", at("queues", "drift/own"), {"durable": False, "arguments": {"x-max-length": 5}})
    broker.request("POST", at("bindings", "e", "drift/e", "q", "drift/own"), {"routing_key": "#"})
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        assert find(stack) == set()


def test_what_was_changed_by_hand_is_found_and_mended(drifter: Workspace) -> None:
    """One after the other, each alone, while no one consumes; what lies in queues that were not deleted stays."""
    drifter.invoke("scale-function", NAME, "0")
    stack = open_own(drifter)
    publish(stack, [f"h{number}" for number in range(5)], "amq.topic", "drift.x.heat")
    broker = find_broker(stack)
    assert len(CHANGES) >= 30
    for what, (requests, subject) in CHANGES.items():
        for method, path, document in requests:
            broker.request(method, path, document)
        assert subject in find(stack), what
        assert mend_stack_broker(stack), what
        assert find(stack) == set(), what
        if subject != "queue drift/heat":
            continue
        publish(stack, [f"h{number}" for number in range(5)], "amq.topic", "drift.x.heat")
    assert count(stack, "drift/heat") == 5
    broker.request("DELETE", at("policies", "by-hand"))


@pytest.mark.parametrize(
    ("queue", "given"), [(QUEUES[0], {"arguments": QUORUM | {"x-max-length": 9999}}), (QUEUES[3], {})]
)
def test_messages_outlive_their_queue(queue: str, given: dict[str, Any], drifter: Workspace) -> None:
    """In their order, and with what their publishers said."""
    drifter.invoke("scale-function", NAME, "0")
    stack = open_own(drifter)
    for method, path, document in again(at("queues", queue), durable=True, **given):
        find_broker(stack).request(method, path, document)
    sent = [f"m{number}" for number in range(300)]
    publish(stack, sent, "", queue)
    assert find(stack) >= {f"queue {queue}"}
    assert mend_stack_broker(stack)
    assert find(stack) == set()
    with connect(stack) as connection:
        channel = connection.channel()
        found = [channel.basic_get(queue, auto_ack=True) for _ in sent]
        assert [body.decode() for _, _, body in found] == sent
        assert [properties.headers["own"] for _, properties, _ in found] == sent


def test_plan_up_and_deploy_see_and_mend_a_binding(drifter: Workspace) -> None:
    drifter.invoke("scale-function", NAME, "1")
    stack = open_own(drifter)
    subject = "binding amq.topic → drift/heat (drift.*.heat)"
    find_broker(stack).request("DELETE", HEAT_BINDING)
    planned = drifter.invoke("plan", "--json", check=False)
    assert planned.returncode == 2
    (told,) = [one for one in json.loads(planned.stdout) if one["subject"] == subject]
    assert (told["action"], told["task"]) == ("create", "up")
    (broker,) = [one for one in json.loads(drifter.invoke("status", "--json").stdout) if one.get("problems")]
    assert [one["subject"] for one in broker["problems"]] == [subject]
    assert f"{subject}: create: is missing at the broker." in drifter.invoke("up").stderr
    assert find(stack) == set()
    find_broker(stack).request("DELETE", HEAT_BINDING)
    drifter.invoke("deploy-function", NAME)
    assert find(stack) == set()


@pytest.mark.slow
def test_queue_of_failed_messages_that_is_refused_is_told(drifter: Workspace) -> None:
    """The others go on, and once the account may use it again nothing of what failed is missing."""
    drifter.invoke("scale-function", NAME, "0")
    stack = open_own(drifter)
    broker = find_broker(stack)
    broker.request("DELETE", f"{DEAD}/contents")
    broker.request("PUT", at("permissions", f"function-{NAME}"), EVERYTHING | {"configure": r"^drift/(e|q|heat)$"})
    drifter.invoke("scale-function", NAME, "1")
    publish(stack, ["refuse", "after"])
    wait_until(lambda: "after at drift/e/a.b" in heard(drifter), seconds=60, what="the next message")
    refusal = f"{NAME}: cannot keep what it fails at: the broker refuses the queue drift/q.retry.1000ms: ACCESS_REFUSED"
    wait_until(lambda: refusal in drifter.invoke("status").stderr, seconds=60, what="the refusal in status")
    assert count(stack, "drift/q.dead") == 0
    assert mend_stack_broker(stack)
    wait_until(lambda: count(stack, "drift/q.dead") == 1, seconds=60, what="the dead letter")
    wait_until(lambda: refusal not in drifter.invoke("status").stderr, seconds=60, what="a status without the refusal")


def test_who_consumes_alone_is_sent_away(drifter: Workspace) -> None:
    drifter.invoke("scale-function", NAME, "0")
    stack = open_own(drifter)
    find_broker(stack).request("POST", "/api/definitions", {"queues": [CLASSIC]})
    with connect(stack) as connection:
        channel = connection.channel()
        channel.basic_consume("drift/taken", lambda *_: None, exclusive=True)
        subject = "exclusive consumer of queue drift/taken"
        wait_until(
            lambda: connection.process_data_events(0.1) or subject in find(stack), seconds=60, what="the consumer"
        )
        assert mend_stack_broker(stack)
        with pytest.raises(pika.exceptions.AMQPError):
            connection.process_data_events(5)


CLASSIC = {"vhost": "/", "name": "drift/taken", "durable": True, "auto_delete": False, "arguments": {}}


def read_overview(workspace: Workspace) -> str:
    """Return what the overview says is wrong."""
    status, text = fetch(f"http://127.0.0.1:{workspace.settings.ports.dashboard}/overview/troubles")
    assert status == 200
    return " ".join(text.split())


@pytest.mark.slow
def test_alarms_are_told_where_a_person_looks_first(drifter: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """And who would replay dead letters does not wait for ever."""
    monkeypatch.setattr(connection, "_BLOCKED_SECONDS", 1.0)
    stack = open_own(drifter)
    publish(stack, ["stays"], "", "drift/q.dead")
    (container,) = drifter.containers("rabbitmq-mqtt")
    (node,) = find_broker(stack).request("GET", "/api/nodes?columns=disk_free_limit")
    set_limit = ("exec", container, "rabbitmqctl", "set_disk_free_limit")
    # It is not closed before the alarm is over: the broker would not read that.
    with connect(stack) as publisher:
        run_docker(*set_limit, str(10**15))
        try:
            publisher.channel().basic_publish("", "drift/q", b"waits")
            assert_alarm_is_told(drifter)
            with pytest.raises(BrokerError, match=r"No dead letter was lost.* `invoke status`"):
                replay_letters(stack, Choice(NAME))
        finally:
            run_docker(*set_limit, str(node["disk_free_limit"]))
    # The broker reads only now that its reader is gone.
    wait_until(lambda: count(stack, "drift/q.dead") >= 1, seconds=60, what="the dead letter in its queue")
    wait_until(
        lambda: "takes no messages" not in drifter.invoke("status").stderr, seconds=60, what="the end of the alarm"
    )


def assert_alarm_is_told(workspace: Workspace) -> None:
    blocked = "1 connection waits to publish"
    wait_until(lambda: blocked in workspace.invoke("status").stderr, seconds=60, what="who is blocked")
    assert "takes no messages" in workspace.invoke("status").stderr
    assert "takes no messages" in workspace.invoke("plan", check=False).stderr
    wait_until(lambda: "takes no messages" in read_overview(workspace), seconds=60, what="the alarm on the overview")
    metrics = fetch(f"http://127.0.0.1:{workspace.settings.ports.metrics}/metrics")[1]
    assert re.search(r"^rabbitmq_alarms_free_disk_space_watermark 1$", metrics, re.MULTILINE)


def test_dead_letters_are_counted_in_their_queue(drifter: Workspace) -> None:
    """Not by containers: there is none here, and a purge that none of them sees ends it."""
    drifter.invoke("scale-function", NAME, "0")
    stack = open_own(drifter)
    find_broker(stack).request("DELETE", f"{DEAD}/contents")
    wait_until(lambda: f">{NAME}<" not in read_overview(drifter), seconds=60, what="an overview without dead letters")
    publish(stack, ["one", "two"], "", "drift/q.dead")
    wait_until(
        lambda: "could not handle 2 messages" in read_overview(drifter), seconds=60, what="dead letters on the overview"
    )
    assert f"{NAME} has 2 dead letters" in drifter.invoke("status").stderr
    find_broker(stack).request("DELETE", f"{DEAD}/contents")
    wait_until(
        lambda: "could not handle 2 messages" not in read_overview(drifter), seconds=60, what="an overview without them"
    )
    wait_until(lambda: f"{NAME} has" not in drifter.invoke("status").stderr, seconds=60, what="a status without them")
