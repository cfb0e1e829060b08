"""The broadcaster: what those who watch are told, and what is looked at for no one."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from stack.errors import StackError
from stack.live import channel as topics
from stack.live.broadcaster import Broadcaster
from stack.live.channel import LogTail, Update

_SECONDS = 60.0


class Sample:
    """A source whose value a test sets."""

    pause = 0.02

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.looks = self.rests = 0

    async def look(self) -> Any:
        self.looks += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    async def rest(self) -> None:
        self.rests += 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_SHORTEST", 0.01)
    monkeypatch.setattr(topics, "_LINGER", 0.03)


def run(test: Callable[[Broadcaster, Sample], Coroutine[Any, Any, None]], value: Any = None) -> Sample:
    """Run a test with a hub whose topic `it` has a value."""
    source = Sample(value)

    async def body() -> None:
        broadcaster = Broadcaster()
        broadcaster.add("it", lambda _: source)
        async with asyncio.timeout(_SECONDS):
            await test(broadcaster, source)
        await broadcaster.close()

    asyncio.run(body())
    return source


async def wait(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_a_watcher_is_told_the_latest_and_each_change() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        async with aclosing(broadcaster.watch(["it"])) as updates:
            assert await anext(updates) == ("it", 1)
            source.value = 2
            assert await anext(updates) == ("it", 2)
            looks = source.looks
            waiting = asyncio.ensure_future(anext(updates))
            await wait(lambda: source.looks > looks + 2)
            assert not waiting.done()
            source.value = 3
            assert await waiting == ("it", 3)

    run(test, 1)


def test_nothing_is_looked_at_for_no_one() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        await asyncio.sleep(0.1)
        assert source.looks == 0
        assert await broadcaster.latest("it") == 1
        await wait(lambda: source.rests == 1)
        looks = source.looks
        await asyncio.sleep(0.1)
        assert source.looks == looks

    run(test, 1)


def test_all_who_watch_share_each_look_and_its_json() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        # However long it takes until all have been told.
        source.pause = 1000.0

        async def first() -> Update:
            async with aclosing(broadcaster.follow(["it"])) as updates:
                return await anext(updates)

        found = await asyncio.gather(*(first() for _ in range(100)))
        assert source.looks <= 2
        assert all(one is found[0] for one in found)
        assert found[0].text == '{"a":1}'

    run(test, {"a": 1})


def test_who_comes_while_a_topic_falls_asleep_is_served() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        for value in range(20):
            source.value = value
            async with aclosing(broadcaster.watch(["it"])) as updates:
                async for _, told in updates:
                    if told == value:
                        break
            await asyncio.sleep(0.035)

    assert run(test, 0).rests


def test_a_look_that_fails_keeps_the_last_value_and_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        async with aclosing(broadcaster.watch(["it"])) as updates:
            assert await anext(updates) == ("it", None)
            source.value = 1
            assert await anext(updates) == ("it", 1)
            source.value = KeyError("gone")
            looks = source.looks
            await wait(lambda: source.looks > looks + 3)
            source.value = 2
            assert await anext(updates) == ("it", 2)

    run(test, ValueError("not yet"))
    told = capsys.readouterr().err
    assert told.count("cannot be told") == 2
    assert "not yet" in told
    assert "gone" in told


def test_touching_does_not_wait_for_the_pause() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        source.pause = 1000.0
        async with aclosing(broadcaster.watch(["it"])) as updates:
            await anext(updates)
            source.value = 2
            broadcaster.touch("other")
            broadcaster.touch("it")
            assert await anext(updates) == ("it", 2)

    run(test, 1)


def numbers(count: int, kept: int = 3) -> LogTail:
    return LogTail(count, tuple(range(count - min(count, kept), count)))


def test_of_a_log_everybody_is_told_what_is_new_to_him() -> None:
    async def test(broadcaster: Broadcaster, source: Sample) -> None:
        async with aclosing(broadcaster.watch(["it"])) as updates:
            assert await anext(updates) == ("it", {"whole": True, "skipped": 0, "entries": [0, 1]})
            source.value = numbers(3)
            assert await anext(updates) == ("it", {"whole": False, "skipped": 0, "entries": [2]})
            async with aclosing(broadcaster.watch(["it"])) as later:
                assert await anext(later) == ("it", {"whole": True, "skipped": 0, "entries": [0, 1, 2]})
            source.value = numbers(8)
            assert await anext(updates) == ("it", {"whole": False, "skipped": 2, "entries": [5, 6, 7]})

    run(test, numbers(2))


def test_an_empty_log_is_told() -> None:
    async def test(broadcaster: Broadcaster, _: Sample) -> None:
        assert await broadcaster.latest("it") == {"whole": True, "skipped": 0, "entries": []}

    run(test, LogTail(0, ()))


def test_topics_of_a_family_are_made_as_they_are_asked_for() -> None:
    made: dict[str, Sample] = {}

    def make(subject: str, _: Callable[[], None]) -> Sample:
        return made.setdefault(subject, Sample(subject))

    async def test(broadcaster: Broadcaster, _: Sample) -> None:
        broadcaster.add_family("log", make)
        async with aclosing(broadcaster.watch(["log:a", "log:b:c"])) as updates:
            assert [await anext(updates), await anext(updates)] == [("log:a", "a"), ("log:b:c", "b:c")]
            source = made["a"]
            source.pause = 1000.0
            await asyncio.sleep(0.05)
            source.value = "new"
            broadcaster.touch("log:a")
            assert await anext(updates) == ("log:a", "new")
        await wait(lambda: all(one.rests for one in made.values()))

    run(test)


@pytest.mark.parametrize("name", ["", "other", "log:", "log"])
def test_an_unknown_topic_is_refused(name: str) -> None:
    async def test(broadcaster: Broadcaster, _: Sample) -> None:
        broadcaster.add_family("log", lambda subject, _: Sample(subject))
        with pytest.raises(StackError, match="Topics: it, log:NAME"):
            broadcaster.check([name])
        with pytest.raises(StackError):
            await broadcaster.latest(name)

    run(test)


def test_who_watches_leaves_when_the_program_ends() -> None:
    async def test(broadcaster: Broadcaster, _: Sample) -> None:
        ending = asyncio.create_task(broadcaster.end_in_time())

        told: list[Any] = []

        async def watch() -> None:
            async for _, value in broadcaster.watch(["it"]):
                told.append(value)

        watchers = [asyncio.create_task(watch()) for _ in range(3)]
        await wait(lambda: len(told) == 3)
        broadcaster.ending.set()
        await asyncio.gather(*watchers)
        assert told == [1, 1, 1]
        await ending

    assert run(test, 1).rests


def test_values_are_json() -> None:
    async def test(broadcaster: Broadcaster, _: Sample) -> None:
        async with aclosing(broadcaster.follow(["it"])) as updates:
            update = await anext(updates)
        assert json.loads(update.text) == update.value
        assert (update.topic, update.number) == ("it", 1)

    run(test, {"a": ["ü", None, 1.5]})
