"""Events when they are due: which replica is active, the stack's broker says."""

from stack.config.trigger.cron import CronTrigger
from stack.plan.trigger.kind import Scaffold, TriggerKind


class CronKind(TriggerKind[CronTrigger]):
    """A cron trigger."""

    scaffold = Scaffold("cron", "Clock")
    box = ("Clock", "on a schedule")
    falls_back = True

    def has_lock(self, trigger: CronTrigger, nodes: int) -> bool:
        """Return that it has one."""
        return True


KIND = CronKind()
