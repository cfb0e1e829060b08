"""A phone as a device: a link, as a QR code, to a page of the dashboard that sends what the phone measures.

The link holds for some minutes, and once: with it the page gives the device another password, which it keeps.
"""

from dataclasses import dataclass

import segno

from stack.config.device import DeviceConfig
from stack.docker.stack import Stack
from stack.errors import ConflictError, StackError
from stack.plan.device_program import choose_topic
from stack.run.devices.connection import advise_wider, find_origin
from stack.run.devices.registry import Identity, get_device, rotate_device
from stack.state.device_link import find_linked, make_link, take_link
from stack.state.devices import load_registry

PATH = "/phone"
# What the page sends, each on the device's own topic of that name.
MEASURED = ("slider", "motion", "light")
_ENDED = "This link was used, or has ended. Make another on the page Devices, or by `invoke device show NAME --qr`."


@dataclass(frozen=True)
class PhoneLink:
    """The address of the page that makes a phone a device, and for which it does."""

    device: str
    address: str
    advice: str
    """What to do where a phone does not reach it."""

    @property
    def qr(self) -> segno.QRCode:
        """Return the address to be scanned."""
        return segno.make_qr(self.address)


def make_phone_link(stack: Stack, name: str, seen_as: str = "") -> PhoneLink:
    """Return a new link for a device; `seen_as` is the name by which a browser found this machine.

    Raises:
        DeviceError: there is no such device.
        StackError: it may publish on no topic, or there is no TLS.
    """
    origin = find_origin(stack, seen_as)
    device = get_device(load_registry(stack.workspace), name)
    if not device.publish:
        raise StackError(f"{name} may publish on no topic, so a phone would have nothing to send.")
    return PhoneLink(name, f"{origin}{PATH}/{make_link(stack.workspace, name)}", advise_wider(stack, "https"))


def find_phone(stack: Stack, token: str) -> str:
    """Return for which device a link is.

    Raises:
        ConflictError: the link has ended.
    """
    if not (name := find_linked(stack.workspace, token)):
        raise ConflictError(_ENDED)
    return name


def claim_phone(stack: Stack, token: str) -> Identity:
    """Give a device another password by its link, which ends.

    Raises:
        ConflictError: the link has ended.
        DeviceError: the device was removed meanwhile.
    """
    if not (name := take_link(stack.workspace, token)):
        raise ConflictError(_ENDED)
    return rotate_device(stack, name)


def choose_phone_topics(device: DeviceConfig) -> dict[str, str]:
    """Return on which topic the page sends what."""
    return {word: choose_topic(device.publish, word) for word in MEASURED}
