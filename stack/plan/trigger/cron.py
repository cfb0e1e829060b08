"""Events when they are due: which replica is on duty, the stack's broker says."""

from stack.config.trigger.cron import CronTrigger
from stack.plan.trigger.kind import Scaffold, TriggerKind


class CronKind(TriggerKind[CronTrigger]):
    """A cron trigger."""

    scaffold = Scaffold("cron", "Clock")
    box = ("Clock", "on a schedule")
    has_lock = True
    falls_back = True


KIND = CronKind()
