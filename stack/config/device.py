"""spec.devices: devices of this machine, as Docker takes them."""

import re
from typing import Annotated

from pydantic import AfterValidator

from stack.config.allow import NAMED_DEVICE

_PATH = r"/[^:]*"
_DEVICE = re.compile(rf"{_PATH}(:{_PATH}(:[rwm]{{1,3}})?)?")


def _check(text: str) -> str:
    if not (_DEVICE.fullmatch(text) or NAMED_DEVICE.fullmatch(text)):
        raise ValueError(
            "should be HOST, HOST:CONTAINER or HOST:CONTAINER:PERMISSIONS, "
            f"such as /dev/ttyUSB0:/dev/ttyUSB0:rw, not {text!r:.60}"
        )
    return text


Device = Annotated[str, AfterValidator(_check)]
