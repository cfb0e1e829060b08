"""Which module serves which process: each kind of trigger has one, which has a function `open_source`.

A module is imported only where a trigger of its kind is there, since its libraries take memory and a part of a start.
"""

from functools import partial
from importlib import import_module

from stack.processor.configuration import Function
from stack.processor.delivery import Intake, Report, Source
from stack.processor.inbox import Inbox
from stack.processor.loop import LoopInbox
from stack.processor.post import Post, Role, is_on_amqp
from stack.processor.source.pool import PoolSource

_PACKAGE = "stack.processor.source"
_AMQP = "rabbitmq.source"
_MODULES = {"http": "http.source", "rabbit-mq": _AMQP, "mqtt": "mqtt.source", "cron": "cron.source"}

# Seconds that outcomes may wait for more of their kind while the handler is busy. Nobody waits for the acknowledgement
# of a message, and a broker has less work with few of them.
_PATIENCE, _AMQP_PATIENCE = 0.001, 0.01


def find_patience(post: Post) -> float:
    """Return for how many seconds outcomes may wait for more of their kind while the handler is busy."""
    return _AMQP_PATIENCE if post.role is Role.WORKER and post.trigger.kind in ("rabbit-mq", "mqtt") else _PATIENCE


def open_inbox(post: Post) -> Inbox | LoopInbox:
    """Return what a sync handler takes its deliveries from: one that runs the source's loop, where it has one."""
    has_loop = post.role is Role.WORKER and post.trigger.kind != "cron"
    return LoopInbox() if has_loop else Inbox()


def open_source(post: Post, function: Function, intake: Intake, report: Report) -> Source:
    """Return the source of a process, not started yet."""
    if post.pool and post.role is not Role.BORROWER:
        return PoolSource([partial(open_source, one, function) for one in post.pool], intake, report)
    source: Source = import_module(_find_module(post)).open_source(post, function, intake, report)
    return source


def preload(posts: tuple[Post, ...]) -> None:
    """Import what the sources of these processes need, so that all of them share one copy of it in memory."""
    for post in posts:
        if post.pool and post.role is not Role.BORROWER:
            preload(post.pool)
        else:
            import_module(_find_module(post))


def _find_module(post: Post) -> str:
    if post.role is Role.BORROWER:
        return f"{_PACKAGE}.loan"
    return f"{_PACKAGE}.{_AMQP if is_on_amqp(post.trigger) else _MODULES[post.trigger.kind]}"
