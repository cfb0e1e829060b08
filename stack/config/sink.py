"""spec.loggerSinks: which log lines are kept, and how they are written."""

from typing import Annotated, Literal

from stack.config.document import NuclioDocument
from stack.config.inert import Inert


class SinkAttributes(NuclioDocument):
    """How log lines are written: the attributes of Nuclio's sink `stdout`."""

    encoding: Literal["console", "json"] = "console"
    time_field_name: str = "time"
    time_field_encoding: Literal["epoch-millis", "iso8601"] = "epoch-millis"
    var_group_name: str = ""
    var_group_mode: Annotated[str, Inert()] = ""


class LoggerSink(NuclioDocument):
    """The level from which on a function's log lines are kept, and how they are written."""

    level: Literal["debug", "info", "warn", "error"] = "debug"
    sink: Annotated[str, Inert("has no effect: log lines go to the container's standard output")] = ""
    encoding: Literal["console", "json"] = "console"
    attributes: SinkAttributes = SinkAttributes()
