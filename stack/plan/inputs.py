"""What a rendered tree depends on: the settings, this machine, and the services that there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.config.alert import Alert
from stack.config.environment import SecretContent, SecretRef
from stack.config.settings import Settings
from stack.plan.account import Accounts
from stack.plan.gateway import GatewayLogin
from stack.plan.image import BaseImages
from stack.plan.stack import Service
from stack.plan.tls import ServerCertificate


@dataclass(frozen=True)
class HostContext:
    """Where Tidegate's program and its workspace are on this machine, and digests of the program and its libraries.

    `names` are this machine's own; `ca` is the file of certificates that builds trust, and `environment` the variables
    by which they reach a proxy: whatever builds in a container builds as this machine does.
    """

    program: str = ""
    workspace: str = ""
    libraries: str = ""
    code: str = ""
    names: tuple[str, ...] = ()
    ca: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    architecture: str = "amd64"


@dataclass(frozen=True)
class Inputs:
    """Everything that a rendered tree depends on."""

    settings: Settings
    base_images: BaseImages
    accounts: Accounts
    services: tuple[Service, ...] = ()
    home: HostContext = HostContext()
    login: str = ""
    """What changes with the dashboard's password."""
    gateway_login: GatewayLogin = field(default_factory=GatewayLogin)
    alerts: tuple[Alert, ...] = ()
    has_devices: bool = False
    """Whether any device has a login of its own."""
    certificate: ServerCertificate = field(default_factory=ServerCertificate)
    """Of the broker and the gateway, where there is TLS."""
    device_rates: Mapping[str, int] = field(default_factory=dict)
    """How many bytes a second each device may send that has a limit."""
    authorities: tuple[tuple[str, str], ...] = ()
    """The files of certificates that nodes of a broker of several have for bridges, each with what changes with it."""
    cluster: str = ""
    """Which cluster of the broker's nodes it is, where there was one before."""
    bridge_accounts: Mapping[SecretRef, SecretContent] = field(default_factory=dict)
    """The secrets of bridges, as far as they are there."""

    @property
    def mdns_names(self) -> tuple[str, ...]:
        """Return the names that the stack tells its network of: those of its certificate, but for the machine's own."""
        if not self.settings.is_open("https", "mqtts"):
            return ()
        own = {one.lower() for one in self.home.names}
        return tuple(one for one in self.settings.tls.names if one.endswith(".local") and one not in own)

    @property
    def has_vmalert(self) -> bool:
        """Return whether anything is watched."""
        return bool(self.alerts) or self.settings.notify.is_about_stack

    @property
    def has_alertmanager(self) -> bool:
        """Return whether there is what tells people."""
        return bool(self.alerts or self.settings.notify.channels)

    @property
    def has_scaler(self) -> bool:
        """Return whether any function leaves it to the scaler how many containers it has."""
        return any(one.is_deployed and one.limits.is_automatic for one in self.services)
