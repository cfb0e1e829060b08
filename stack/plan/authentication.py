"""The gateway's login: which functions ask for which, and what it compares with what clients send."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stack.config.settings import AUTO, Settings
from stack.config.trigger import HttpTrigger
from stack.errors import ConfigError
from stack.plan.frontend import JSON, TEXT, Frontend
from stack.plan.function import FunctionPlan
from stack.plan.image import digest

NONE, BASIC, BEARER, ANY = "none", "basic", "bearer", "any"
# The header by which Tidegate's own programs show that they may call every function; no function sees it.
OWN_HEADER = "X-Tidegate-Gateway"
# What the gateway mounts: files of SHA-256 digests in upper-case hexadecimal, one a line.
FOLDER, MOUNTED = "/etc/tidegate/login", "secrets/gateway"
_CHALLENGES = {BASIC: ("Basic",), BEARER: ("Bearer",), ANY: ("Basic", "Bearer")}
_WAYS = {BASIC: "HTTP basic", BEARER: "a bearer token", ANY: "HTTP basic, or a bearer token"}


@dataclass(frozen=True)
class GatewayLogin:
    """Who may call functions: digests of `user:password`, of tokens, and of what Tidegate's own programs send.

    They are digests without a salt: each is of a random text of 120 bits or more, and looked at with every request.
    """

    basic: Sequence[str] = ()
    bearer: Sequence[str] = ()
    own: Sequence[str] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """Return the files of FOLDER by name."""
        kinds = {"basic": self.basic, "bearer": self.bearer, "own": self.own}
        return {name: "".join(f"{one.upper()}\n" for one in digests).encode() for name, digests in kinds.items()}

    @property
    def version(self) -> str:
        """Return what changes with the digests."""
        return digest(part for name, content in self.files.items() for part in (name, content))


@dataclass(frozen=True)
class Guard:
    """What one part of the gateway asks for: nothing, or a login; `is_shared` lets pages of other sites ask first."""

    authentication: str = NONE
    is_shared: bool = False
    content_type: str = JSON

    @property
    def is_needed(self) -> bool:
        """Say whether a login is asked for."""
        return self.authentication != NONE

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of a request of which one must be set."""
        own = {BASIC: ("basic",), BEARER: ("bearer",), ANY: ("basic", "bearer")}[self.authentication]
        return (*own, *(("preflight",) if self.is_shared else ()))

    @property
    def challenges(self) -> tuple[str, ...]:
        """Return the values of WWW-Authenticate, as words of HAProxy's configuration."""
        return tuple(f"'{scheme} realm=\"Tidegate\"'" for scheme in _CHALLENGES[self.authentication])

    @property
    def refusal(self) -> str:
        """Return what is told to who shows no login, as a word of HAProxy's configuration."""
        message = f"A login is needed: {_WAYS[self.authentication]}. `invoke credentials --gateway` makes one."
        return Frontend("", 0, 0, 0, self.content_type).write(message)


def find_guard(plan: FunctionPlan, settings: Settings) -> Guard:
    """Return what the gateway asks for before a function is called."""
    trigger = plan.http
    asked = trigger.attributes.authentication if trigger else ""
    return Guard(asked or find_default(settings), is_shared=bool(trigger and trigger.attributes.cors.enabled))


def find_metrics_guard(settings: Settings) -> Guard:
    """Return what is asked for before the broker's figures are shown."""
    return Guard(find_default(settings), content_type=TEXT)


def find_default(settings: Settings) -> str:
    """Return the login of who says nothing else: any where other machines can reach the gateway."""
    if settings.gateway.login != AUTO:
        return settings.gateway.login
    return NONE if settings.is_local else ANY


def check_login(plans: Iterable[FunctionPlan], settings: Settings, *, has_login: bool) -> None:
    """Refuse to ask for a login that nobody can have.

    Raises:
        ConfigError: the stack or a function asks for one, and none was made.
    """
    if has_login:
        return
    way = "Type `invoke credentials --gateway` to make a login for those who call functions, then this again"
    problems = []
    if (default := find_default(settings)) != NONE:
        why = f"bind: {settings.bind} lets other machines call functions" if settings.gateway.login == AUTO else ""
        what = why or f"gateway.login: {default} needs a login"
        problems.append(f"stack.yaml: {what}. {way}; or set gateway.login to none.")
    problems += [
        f"{plan.function.document}: spec.triggers: attributes.authentication: {_asked(plan)} needs a login. {way}."
        for plan in plans
        if _asked(plan) not in ("", NONE)
    ]
    if problems:
        raise ConfigError(problems)


def find_open_ports(plans: Iterable[FunctionPlan], settings: Settings) -> list[str]:
    """Tell of the functions with a port of their own that other machines reach, which the gateway does not guard."""
    return [
        f"{plan.name}: other machines reach it at port {port} without a login, which only the gateway asks for. "
        "Leave `port` out, or check who calls in the handler."
        for plan in plans
        if not settings.is_local and (port := _port(plan.http)) and find_guard(plan, settings).is_needed
    ]


def _asked(plan: FunctionPlan) -> str:
    return plan.http.attributes.authentication if plan.http else ""


def _port(trigger: HttpTrigger | None) -> int:
    return trigger.attributes.port if trigger else 0
