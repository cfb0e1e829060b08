"""Programs with which a device connects, to copy and paste: each template of templates/connect/, filled in for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from stack.config.device import DeviceConfig
from stack.plan.template import fill

# What stands for a password that cannot be told again.
UNKNOWN = "ITS-PASSWORD"
_FOLDER = "connect"
_READING, _COMMAND, _COMMANDS = "temperature", "open", "cmd"


@dataclass(frozen=True)
class Endpoint:
    """Where a device finds the broker."""

    host: str
    mqtt: int
    amqp: int
    is_tls: bool = False
    authority: str = ""
    """The certificate, as PEM, that signed the broker's; empty where every machine trusts it anyway."""
    advice: str = ""
    """What to do where devices elsewhere do not reach it."""
    others: tuple[str, ...] = ()
    """Where other nodes of the broker are, of which any will do."""

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 fingerprint of the authority, as browsers and OpenSSL show it."""
        if not self.authority:
            return ""
        certificate = x509.load_pem_x509_certificate(self.authority.encode())
        return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@dataclass(frozen=True)
class Program:
    """A program with which a device connects."""

    title: str
    file: str
    """Its template; what the program is called goes before the first dot."""

    @property
    def name(self) -> str:
        """Return what it is called on the command line."""
        return self.file.partition(".")[0]


PROGRAMS = (
    Program("Python", "python.py.j2"),
    Program("Node.js", "nodejs.js.j2"),
    Program("mosquitto", "mosquitto.sh.j2"),
    Program("MicroPython", "micropython.py.j2"),
    Program("Arduino", "arduino.ino.j2"),
    Program("Home Assistant", "home-assistant.yaml.j2"),
)
BY_NAME: Mapping[str, Program] = {one.name: one for one in PROGRAMS}


def write_program(program: Program, endpoint: Endpoint, device: DeviceConfig, password: str = UNKNOWN) -> str:
    """Return a program, filled in for a device: it sends a reading every ten seconds, and prints what it is told."""
    context: dict[str, Any] = {
        "host": endpoint.host,
        "others": endpoint.others,
        "hosts": [endpoint.host, *endpoint.others],
        "port": endpoint.mqtt,
        "tls": endpoint.is_tls,
        "authority": endpoint.authority,
        "name": device.name,
        "password": password,
        "topic": choose_topic(device.publish, _READING),
        "commands": choose_commands(device.publish, device.subscribe),
        "state": choose_topic(device.subscribe, _READING),
        "command": choose_topic(device.publish, _COMMAND),
    }
    return fill(f"{_FOLDER}/{program.file}", context).decode()


def choose_topic(filters: Sequence[str], word: str) -> str:
    """Return a topic that the first of the filters has, with a word for what may be any; nothing without a filter."""
    levels = filters[0].split("/") if filters else []
    return "/".join(word if one in ("+", "#") else one for one in levels)


def choose_commands(publish: Sequence[str], subscribe: Sequence[str]) -> str:
    """Return to what a device subscribes: not to all that it may, where it would hear its own readings."""
    if not subscribe:
        return ""
    first = subscribe[0]
    return f"{first[:-1]}{_COMMANDS}/#" if first.endswith("#") and first in publish else first
