"""The same kind, as the control plane plans it."""

from stack.plan.trigger.kind import Scaffold, TriggerKind
from tests.unit.new_kind.config.count import CountTrigger


class CountKind(TriggerKind[CountTrigger]):
    """It needs no broker, and no one calls it."""

    scaffold = Scaffold("count", "Counter")
    box = ("Counter", "on and on")


KIND = CountKind()
