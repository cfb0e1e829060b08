"""Every error that a user can meet; each message says what is wrong, where, and what to type next.

StackError
├── ConfigError      stack.yaml or a function.yaml is wrong; carries every problem found
│   └── AccessError  a function asks for what stack.yaml does not allow it of this machine
├── HostError        this machine: a port in use, no disk space, an unsupported system
├── EngineError      Docker is missing, too old, not permitted, or refused a command
│   └── BuildError   an image could not be built; carries the last lines of the log
├── BrokerError      RabbitMQ cannot be reached or refused
├── DataError        the store of readings cannot be reached, or cannot answer
├── AlertError       Alertmanager cannot be reached, or an alert or a channel is not as it should be
├── DeviceError      a device is unknown, or does not do what it is asked to
│   └── NoAnswerError  a device has not answered; the exit status is 3
├── FunctionError    a function is unknown or does not come up
├── ConflictError    something is there already, or is not as anyone who wants to change it has seen it
├── DeclinedError    somebody was asked, and said no
├── DemoError        messages were sent and not all came back
└── InterruptionError  Ctrl-C or SIGTERM ended the task before its time

A built-in exception that reaches the user is a defect of Tidegate.
"""

import os
import re
from collections.abc import Sequence

# The variable that names what a person has typed instead of `invoke`.
COMMAND_VARIABLE = "TIDEGATE_COMMAND"
# Between backticks, or by itself at a line's beginning or behind a colon.
_TYPED = re.compile(r"(`|^|: )invoke (?=[a-z-])", re.MULTILINE)


def name_command(message: str) -> str:
    """Return a message that says what to type by the command that was typed: `invoke`, or `tidegate`."""
    command = os.environ.get(COMMAND_VARIABLE)
    return _TYPED.sub(rf"\g<1>{command} ", message) if command else message


class StackError(Exception):
    """Any failure that is explained to the user instead of shown as a traceback; `status` is the exit status."""

    status = 1


class ConfigError(StackError):
    """One or more settings are wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class AccessError(ConfigError):
    """A function asks for what stack.yaml does not allow it of this machine; each problem ends with the line to add."""


class HostError(StackError):
    """This machine cannot do what was asked."""


class EngineError(StackError):
    """Docker is missing, too old, not permitted, or refused a command."""


class BuildError(EngineError):
    """An image could not be built; the message ends with the last lines of the build's log."""


class BrokerError(StackError):
    """RabbitMQ cannot be reached or refused what was asked."""


class DataError(StackError):
    """The store of readings cannot be reached, or cannot answer what was asked."""


class AlertError(StackError):
    """Alertmanager cannot be reached, there is no such alert or channel, or one does not do what it should."""


class DeviceError(StackError):
    """There is no such device, or it refused what it was asked."""


class NoAnswerError(DeviceError):
    """A device has not answered a call, and may do so later."""

    status = 3


class DeviceServiceError(StackError):
    """The service of devices does not run, or cannot do now what it was asked."""


class FunctionError(StackError):
    """A function is unknown, or its container does not come up."""


class ConflictError(StackError):
    """Something is there already, or is not any more as anyone who wants to change it has seen it."""


class DeclinedError(StackError):
    """Somebody was asked, and said no."""


class DemoError(StackError):
    """The example did not do what it should."""


class InterruptionError(StackError):
    """A signal ended the task; it left everything in order, and the message says how."""

    def __init__(self, message: str, signal: int) -> None:
        self.status = 128 + signal
        super().__init__(message)
