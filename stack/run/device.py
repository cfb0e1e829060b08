"""What a device does: readings are sent to the broker as a sensor would."""

import threading
from collections.abc import Sequence
from random import Random
from time import monotonic

from stack import console
from stack.docker.stack import open_stack
from stack.errors import BrokerError
from stack.plan.device import Reading, SendRequest, check_request, count_readings, measure
from stack.rabbitmq.device import send
from stack.rabbitmq.management import find_device_broker


def send_and_print(order: SendRequest) -> None:
    """Send readings, and show each as it goes; of many only the count.

    Raises:
        StackError: an option is out of its range, the broker cannot be reached, or no queue took a reading.
    """
    readings = measure(check_request(order), Random())
    broker = find_device_broker(open_stack())
    show = _show if order.rate else _pass_over
    start = monotonic()
    try:
        unheard = send(broker, order, readings, show=show, stop=threading.Event())
    except KeyboardInterrupt:
        console.say("Stopped before all was sent.")
        raise
    seconds = monotonic() - start
    _explain_unheard(unheard, order.protocol)
    count = count_readings(len(readings))
    console.success(f"{count} over {order.protocol.upper()} in {seconds:.1f} s, each confirmed.")
    console.say("Next: `invoke logger` shows what the functions say of them.")


def _explain_unheard(unheard: Sequence[Reading], protocol: str) -> None:
    """Complain of readings that no queue took.

    Raises:
        BrokerError: there are some.
    """
    if unheard:
        raise BrokerError(
            f"{count_readings(len(unheard))} reached no queue: no function is listening; deploy one: "
            f"`invoke deploy-function {protocol}consume`. Where one is, `invoke status` tells of misspelt keys."
        )


def _show(reading: Reading) -> None:
    console.show(f" [x] Sent {reading.sensor}: '{reading.value}'")


def _pass_over(_reading: Reading) -> None:
    return
