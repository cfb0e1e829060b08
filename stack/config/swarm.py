"""The part of stack.yaml about Docker Swarm, which runs the stack on several machines."""

import hashlib
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from stack.config.document import Document
from stack.config.network import check_number

# A gateway on each machine, the broker's nodes, and Tidegate's own programs, twice while they are updated.
_LONGEST_PREFIX = 26
# Of 10.0.0.0/8 Swarm gives networks away from the beginning on.
_LEAST_BLOCK, _BLOCKS = 128, 96
# No container can have these: a machine's own, those of one line without a router, and those of many receivers.
_SPECIAL = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))


def _check_size(value: IPv4Network | None) -> IPv4Network | None:
    if value and value.prefixlen > _LONGEST_PREFIX:
        raise ValueError(f"should have room for 60 containers, such as 10.200.1.0/24, not {value}")
    if value and (special := next((one for one in _SPECIAL if one.overlaps(value)), None)):
        raise ValueError(f"should have addresses for containers only, such as 10.200.1.0/24, and none of {special}")
    return value


class Swarm(Document):
    """More for Docker Swarm, where `engine` is swarm."""

    mtu: int = Field(1500, ge=576, le=65535)
    """The largest packet that the network between the machines takes, such as 1420 where WireGuard connects them.
    VXLAN needs 50 bytes of it, and containers are told so."""
    subnet: Annotated[IPv4Network | None, AfterValidator(_check_size)] = None
    """Addresses of the network of Tidegate's own programs, such as 10.200.1.0/24, by which the gateway knows them from
    functions. Without it they are taken of 10.128.0.0 to 10.223.255.255, by the name of the project."""

    registry: Annotated[int, Field(ge=1024, le=65534), BeforeValidator(check_number)] = 5000
    """The port at 127.0.0.1 of each machine where Docker finds the stack's own registry; the registry itself has the
    port after it. Two stacks of one Swarm need two."""

    def find_subnet(self, project: str) -> IPv4Network:
        """Return the addresses of the network of Tidegate's own programs."""
        if self.subnet:
            return self.subnet
        total = hashlib.sha256(project.encode()).digest()
        return IPv4Network(f"10.{_LEAST_BLOCK + total[0] % _BLOCKS}.{total[1]}.0/24")
