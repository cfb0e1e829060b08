"""`invoke dead-letters` and a real RabbitMQ: nothing is taken away before it is safe elsewhere."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pika
import pytest

from stack.docker.stack import Stack, open_stack
from stack.errors import FunctionError
from stack.rabbitmq.dead_letter import Choice, discard_letters, list_letters, replay_letters
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.publication import peek
from stack.state.vault import function_signature_key
from stack.state.workspace import VARIABLE
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.test_processor import Bench, bench
from tests.docker.workspace import Broker, Workspace
from tests.process.processor.running import wait_for

__all__ = ["bench"]

FUNCTION = "mqttevent"


class Post:
    """Puts dead letters into a queue, and looks at what is in queues."""

    def __init__(self, broker: Broker, queue: str) -> None:
        self.queue = queue
        self.dead = f"{queue}.dead"
        self._connection = pika.BlockingConnection(pika.URLParameters(broker.amqp_url))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        for name in (self.queue, self.dead):
            self._channel.queue_delete(name)
            self._channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})

    def bury(self, *bodies: str, function: str = "thermo") -> None:
        headers = {"mine": 1, "x-nuclio-attempts": 4, "x-nuclio-function": function, "x-nuclio-error": "ValueError: no"}
        headers |= {"x-nuclio-exchange": "iot/sensors", "x-nuclio-routing-key": "temperature"}
        headers |= {"x-nuclio-first-failed": "2026-01-01T00:00:00Z", "x-nuclio-last-failed": "2026-01-02T00:00:00Z"}
        properties = pika.BasicProperties(headers=headers, message_id="m1", content_type="text/plain")
        for body in bodies:
            self._channel.basic_publish("", self.dead, body.encode(), properties)

    def take(self, queue: str, count: int = 1) -> list[tuple[Any, str]]:
        """Take all that is in a queue, once so many are: some go back to it after a connection has ended."""
        wait_for(lambda: self.depth(queue) >= count)
        time.sleep(0.3)
        found = []
        while (got := self._channel.basic_get(queue, auto_ack=True))[0]:
            found.append((got[1], got[2].decode()))
        return found

    def bodies(self, queue: str, count: int = 1) -> list[str]:
        return [body for _, body in self.take(queue, count)]

    def drop(self, queue: str) -> None:
        self._channel.queue_delete(queue)

    def depth(self, queue: str) -> int:
        return int(self._channel.queue_declare(queue, passive=True).method.message_count)

    def close(self) -> None:
        for name in (self.queue, self.dead):
            self._channel.queue_delete(name)
        self._connection.close()


@pytest.fixture
def post(broker: Broker) -> Iterator[Post]:
    post = Post(broker, f"nuclio-nuclio-{FUNCTION}-sensors")
    yield post
    post.close()


@pytest.fixture
def stack(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv(VARIABLE, str(workspace.root))
    return open_stack()


def tell(workspace: Workspace, *arguments: str) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = json.loads(workspace.invoke("dead-letters", *arguments, "--json").stdout)
    return letters


def test_letters_are_listed_and_stay(workspace: Workspace, post: Post) -> None:
    post.bury("21.5", "x" * 200)
    first, second = [one for one in tell(workspace) if one["queue"] == post.dead]
    assert (first["body"], first["function"], first["error"]) == ("21.5", "thermo", "ValueError: no")
    assert (first["attempts"], first["exchange"], first["routing_key"]) == (4, "iot/sensors", "temperature")
    assert (first["headers"], len(second["body"])) == ({"mine": 1}, 200)
    table = workspace.invoke("dead-letters").stdout
    assert "ValueError: no" in table and "x" * 61 not in table
    shown = workspace.invoke("dead-letters", "--show", str(second["number"])).stdout
    assert "x" * 200 in shown and "header mine: 1" in shown
    assert post.bodies(post.dead, 2) == ["21.5", "x" * 200]


def test_letters_are_sent_again_as_they_were(workspace: Workspace, post: Post) -> None:
    post.bury("one", "two", "twice")
    said = workspace.invoke("dead-letters", "--replay", "--match", "TW", "--count", "1").stderr
    assert "1 dead letter sent again." in said
    ((properties, body),) = post.take(post.queue)
    assert (body, properties.message_id, properties.delivery_mode) == ("two", "m1", 2)
    headers = {"mine": 1, "x-nuclio-exchange": "iot/sensors", "x-nuclio-routing-key": "temperature"}
    assert len(properties.headers.pop("x-nuclio-signature")) == 64
    assert properties.headers == headers
    assert post.bodies(post.dead, 2) == ["one", "twice"]


def test_letters_of_a_queue_that_is_gone_stay(workspace: Workspace, post: Post) -> None:
    post.bury("one")
    post.drop(post.queue)
    result = workspace.invoke("dead-letters", "--replay", check=False)
    assert result.returncode
    assert f"There is no queue {post.queue}; its letters stay." in result.stderr
    assert post.bodies(post.dead) == ["one"]


@pytest.mark.slow
def test_interrupted_replay_loses_nothing(workspace: Workspace, post: Post) -> None:
    bodies = [str(number) for number in range(3000)]
    post.bury(*bodies)
    task = workspace.start("dead-letters", "--replay")
    wait_for(lambda: post.depth(post.queue) > 50, 60)
    task.send_signal(signal.SIGKILL)
    task.communicate(timeout=20)
    # What it had taken goes back once the broker knows that it is gone.
    wait_for(lambda: post.depth(post.queue) + post.depth(post.dead) >= len(bodies))
    sent, left = post.bodies(post.queue), post.bodies(post.dead)
    assert left
    assert set(sent) | set(left) == set(bodies)
    assert len(sent) + len(left) - len(bodies) <= 1


def test_letters_are_discarded_only_when_told_so(workspace: Workspace, post: Post) -> None:
    post.bury("one", "two")
    refused = workspace.invoke("dead-letters", "--purge", check=False)
    assert refused.returncode and "add --yes" in refused.stderr
    said = workspace.invoke("dead-letters", "--purge", "--match", "one", "--yes").stderr
    assert "1 dead letter discarded." in said
    assert post.bodies(post.dead) == ["two"]


def test_letters_of_one_function_are_told_apart(workspace: Workspace, post: Post) -> None:
    post.bury("one")
    functions = {one["queue"] for one in tell(workspace, "amqpconsume")}
    assert post.dead not in functions
    unknown = workspace.invoke("dead-letters", "nobody", check=False)
    assert unknown.returncode and "There is no function nobody. Functions: " in unknown.stderr
    both = workspace.invoke("dead-letters", "--replay", "--purge", "--yes", check=False)
    assert both.returncode and "Give one of" in both.stderr
    assert post.bodies(post.dead) == ["one"]


@pytest.fixture
def renamed(workspace: Workspace) -> Iterator[str]:
    """A function that is not deployed, so that its messages stay."""
    folder = workspace.root / "functions" / "renamed"
    folder.mkdir()
    (folder / "main.py").write_text("def handler(context, event):\n    pass\n")
    trigger = "{kind: rabbit-mq, attributes: {queueName: newer-queue}}"
    (folder / "function.yaml").write_text(f"spec: {{handler: 'main:handler', triggers: {{queue: {trigger}}}}}\n")
    yield folder.name
    shutil.rmtree(folder)


def test_letters_of_a_queue_that_a_function_had_go_to_the_one_that_it_has(
    renamed: str, stack: Stack, broker: Broker
) -> None:
    """As after a change of `queueName`."""
    with closing(Post(broker, "newer-queue")) as own, closing(Post(broker, "older-queue")) as older:
        older.bury("one", function=renamed)
        older.bury("two", function="another")
        assert [letter.text for letter in list_letters(stack, Choice(renamed)).letters] == ["one"]
        assert replay_letters(stack, Choice(renamed)).sent == 1
        assert (own.bodies(own.queue), older.bodies(older.dead), older.depth(older.queue)) == (["one"], ["two"], 0)


def find_keys(stack: Stack, post: Post) -> list[str]:
    return [letter.key for letter in list_letters(stack, Choice()).letters if letter.queue == post.dead]


def test_a_letter_is_addressed_wherever_it_is_in_its_queue(stack: Stack, post: Post) -> None:
    post.bury("one", "two", "three")
    _, second, third = find_keys(stack, post)
    assert discard_letters(stack, Choice(key=second)) == 1
    assert replay_letters(stack, Choice(key=third)).sent == 1
    with pytest.raises(FunctionError, match="is gone"):
        replay_letters(stack, Choice(key=third))
    assert (post.bodies(post.queue), post.bodies(post.dead)) == (["three"], ["one"])


def test_what_no_one_has_seen_is_not_discarded(stack: Stack, post: Post) -> None:
    post.bury("one", "two")
    first, last = find_keys(stack, post)
    post.bury("new")
    assert discard_letters(stack, Choice(through=frozenset({last}), match="ONE")) == 1
    with pytest.raises(FunctionError, match="others than those shown; nothing was done"):
        discard_letters(stack, Choice(through=frozenset({first})))
    assert discard_letters(stack, Choice(through=frozenset({last}))) == 1
    assert post.bodies(post.dead) == ["new"]


def test_who_looks_right_after_another_sees_all(stack: Stack, post: Post) -> None:
    post.bury(*(str(number) for number in range(800)))
    with pytest.raises(FunctionError, match="is gone"):
        list_letters(stack, Choice(key="none"))
    for _ in range(3):
        assert len(find_keys(stack, post)) == 800
    bodies = [letter.text for letter in list_letters(stack, Choice()).letters if letter.queue == post.dead]
    assert bodies == [str(number) for number in range(800)]


def test_letters_keep_their_order_whatever_is_looked_at(stack: Stack, post: Post) -> None:
    post.bury("one", "two", "three", "four")
    broker = find_broker(stack)
    first = find_keys(stack, post)[0]
    for count in (1, 3, 2):
        assert [one.body for one in peek(broker, post.dead, count)] == [b"one", b"two", b"three"][:count]
    assert replay_letters(stack, Choice(key=first)).sent == 1
    assert [one.body for one in peek(broker, post.dead, 1)] == [b"two"]
    bodies = [letter.text for letter in list_letters(stack, Choice()).letters if letter.queue == post.dead]
    assert bodies == ["two", "three", "four"]


def test_event_sent_again_is_what_it_was(workspace: Workspace, bench: Bench) -> None:
    mark = bench.output.with_suffix(".mark")
    key = function_signature_key(StackWorkspace(workspace.root), "tested")
    bench.start(exchangeName=bench.exchange, topics=["t"], maxRetries=0, signature_key=key)
    bench.send(f"fail-until {mark}", exchange=bench.exchange, key="t", headers={"mine": 1})
    wait_for(lambda: bench.depth(f"{bench.queue}.dead"))
    mark.touch()
    workspace.invoke("dead-letters", "--replay", "--match", str(mark))
    first, again = wait_for(lambda: len(bench.events()) == 2 and bench.events())
    for name in ("body", "path", "headers", "content_type"):
        assert again[name] == first[name]
    assert bench.depth(f"{bench.queue}.dead") == 0
