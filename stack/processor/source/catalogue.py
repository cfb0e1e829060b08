"""Which source serves which post; each is imported only where a trigger of its kind is there."""

from functools import partial

from stack.processor.configuration import Function
from stack.processor.delivery import Intake, Report, Source
from stack.processor.inbox import Inbox
from stack.processor.loop import LoopInbox
from stack.processor.post import Post, Role, is_on_amqp

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
    """Return the source of a post, not started yet."""
    trigger = post.trigger
    if post.role is Role.BORROWER:
        from stack.processor.source.loan import LoanSource

        assert post.counter is not None
        return LoanSource(post.counter.getsockname(), intake, report)
    if post.pool:
        from stack.processor.source.pool import PoolSource

        return PoolSource([partial(open_source, one, function) for one in post.pool], intake, report)
    if trigger.kind == "http":
        from stack.processor.source.http.late import BusyTimer
        from stack.processor.source.http.presence import open_presence
        from stack.processor.source.http.source import HttpSource

        presence = open_presence(function.name, lambda: intake.is_served)
        busy = BusyTimer(post.clock, function.event_timeout)
        return HttpSource(trigger, post.ports, intake, report, presence=presence, busy=busy)
    if trigger.kind == "mqtt" and not is_on_amqp(trigger):
        from stack.processor.source.mqtt.source import MqttSource

        return MqttSource(trigger, function, intake, report, hand=post.hand)
    if trigger.kind == "cron":
        from stack.processor.source.cron.source import CronSource

        return CronSource(trigger, function, intake, report)
    from stack.processor.source.rabbitmq.source import RabbitSource

    return RabbitSource(trigger, function, intake, report, hand=post.hand)


def preload(posts: tuple[Post, ...]) -> None:
    """Import what the sources of these posts need, so that all processes share one copy of it in memory."""
    for post in posts:
        if post.role is Role.BORROWER:
            import stack.processor.source.loan
        elif post.pool:
            preload(post.pool)
        elif post.trigger.kind == "http":
            import stack.processor.source.http.source
        elif post.trigger.kind == "mqtt" and not is_on_amqp(post.trigger):
            import stack.processor.source.mqtt.source
        elif post.trigger.kind == "cron":
            import stack.processor.source.cron.source
        else:
            import stack.processor.source.rabbitmq.source  # noqa: F401
