"""Secrets: who asks for which, and where each is mounted."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stack.config.container import SecretVolume
from stack.config.environment import SecretContent, SecretRef
from stack.errors import ConfigError
from stack.plan.account import function_account, signature_key
from stack.plan.broker import AMQP_PORT, BROKER_SECRET, MQTT_PORT, MQTT_SECRET, SERVICE, SIGNATURE_SECRET
from stack.plan.function import FunctionPlan
from stack.plan.image import digest
from stack.plan.output.registry import find_kind as find_output_kind
from stack.plan.store import PORT, URL_SECRET, store_url
from stack.plan.store import SERVICE as STORE
from stack.plan.trigger.registry import find_kind

FOLDER = "/run/secrets"
# Linux takes no longer string, of name and value, into the environment of a program (MAX_ARG_STRLEN).
MOST_ENVIRONMENT = 131_072


@dataclass(frozen=True)
class Vault:
    """Every secret that functions may ask for; `salt` keeps the digests in labels from telling a short value."""

    contents: Mapping[SecretRef, SecretContent]
    """What the user has set."""
    salt: SecretContent
    key: SecretContent
    """The stack key, of which each function's own values of the stack's secret `broker` are made."""
    has_store: bool = False
    """Whether there is a store of readings, whose URL functions may ask for."""
    store_address: tuple[str, int] = (STORE, PORT)
    """The host and the port of that URL: as containers see it, unless the function runs elsewhere."""
    broker: str = SERVICE
    """Where containers find the broker."""

    def contents_for(self, function: str) -> dict[SecretRef, SecretContent]:
        """Return what a function may ask for: what the user has set, and its own values of the secret `broker`."""
        account = function_account(self.key, function)
        return {
            **self._shared,
            BROKER_SECRET: SecretContent(account.url(self.broker, AMQP_PORT).encode()),
            MQTT_SECRET: SecretContent(account.url(self.broker, MQTT_PORT, "mqtt").encode()),
            SIGNATURE_SECRET: SecretContent(signature_key(self.key, function).hex().encode()),
        }

    @property
    def _shared(self) -> Mapping[SecretRef, SecretContent]:
        """Return what is the same for each function; what the user has set wins."""
        own = {URL_SECRET: SecretContent(store_url(self.key, *self.store_address).encode())} if self.has_store else {}
        return {**own, **self.contents}

    def digest(self, mounts: Iterable["Mount"]) -> str:
        """Return what changes when one of the values does, and does not tell them; nothing for no secrets."""
        files = {mount.file: mount for mount in mounts}
        parts = [part for _, mount in sorted(files.items()) for part in self._describe(mount)]
        return digest(parts) if parts else ""

    def read(self, mount: "Mount") -> SecretContent | None:
        """Return the value that is mounted; nothing where it was removed."""
        contents = self.contents_for(mount.function) if mount.function else self._shared
        return contents.get(mount.secret)

    def _describe(self, mount: "Mount") -> Iterator[str | bytes]:
        content = self.read(mount)
        yield from (str(mount.secret), self._salt_for(mount.secret), content.get_secret_value() if content else b"")

    def _salt_for(self, ref: SecretRef) -> bytes:
        # The broker's are too long to be guessed; and they are there before any salt is.
        return b"" if ref.name == BROKER_SECRET.name else self.salt.get_secret_value()


@dataclass(frozen=True)
class Mount:
    """A value of a secret as a file of a container; `target` is its absolute path."""

    secret: SecretRef
    target: str
    function: str = ""
    """Whose value it is, where each function has another."""

    @property
    def file(self) -> str:
        """Return the name by which Compose knows the value, and that of its copy that is mounted."""
        return f"{self.secret}.{self.function}" if self.function else str(self.secret)


@dataclass(frozen=True)
class SecretRequirement:
    """A place in a function that asks for a value of a secret, or, without a key, for all of them."""

    path: str
    name: str
    key: str = ""
    is_optional: bool = False
    in_environment: bool = False
    volume: SecretVolume | None = None
    folder: str = FOLDER

    def find(self, known: Iterable[SecretRef]) -> list[SecretRef]:
        """Return what there is of it."""
        return sorted(filter(self.takes, known))

    def takes(self, ref: SecretRef) -> bool:
        """Return whether it asks for this value, too."""
        return ref.name == self.name and self.key in ("", ref.key)

    def __str__(self) -> str:
        return f"{self.name}.{self.key}" if self.key else self.name


def find_wants(plan: FunctionPlan) -> tuple[SecretRequirement, ...]:
    """List the places of a function that ask for secrets.

    Raises:
        ConfigError: a trigger's secret has no such name.
    """
    wants = [
        *_wants_of_environment(plan),
        *_wants_of_triggers(plan),
        *_wants_of_outputs(plan),
        *_wants_of_volumes(plan),
    ]
    if plan.uses_broker_account:
        wants += (SecretRequirement("spec.triggers", *ref) for ref in (BROKER_SECRET, MQTT_SECRET))
    if plan.needs_key:
        wants.append(SecretRequirement("spec.triggers", *SIGNATURE_SECRET))
    return tuple(wants)


def find_mounts(plan: FunctionPlan, vault: Vault) -> tuple[Mount, ...]:
    """List the files that a function's container has of the secrets that there are."""
    known = vault.contents_for(plan.name)
    mounts = {mount for want in find_wants(plan) for mount in _mount(plan, want, known=known)}
    return tuple(sorted(mounts, key=lambda mount: (mount.target, mount.secret)))


def check_secrets(plans: Iterable[FunctionPlan], vault: Vault) -> None:
    """Make sure that all that functions ask for is there and can be given.

    Raises:
        ConfigError: it is not; every place is named.
    """
    problems = [problem for plan in plans for problem in find_problems(plan, vault)]
    if problems:
        raise ConfigError(problems)


def find_problems(plan: FunctionPlan, vault: Vault) -> Iterator[str]:
    """Yield a line for each secret that a function asks for and that is not there, or cannot be given."""
    contents = vault.contents_for(plan.name)
    for want in find_wants(plan):
        yield from (f"{plan.function.document}: {want.path}: {one}" for one in _find_problems(want, contents))


def _wants_of_environment(plan: FunctionPlan) -> Iterator[SecretRequirement]:
    for number, variable in enumerate(plan.spec.env):
        if variable.value_from and (ref := variable.value_from.secret_key_ref):
            path = f"spec.env.{number}.valueFrom.secretKeyRef"
            yield SecretRequirement(path, ref.name, ref.key, ref.optional, in_environment=True)
    for number, entry in enumerate(plan.spec.env_from):
        if source := entry.secret_ref:
            path = f"spec.envFrom.{number}.secretRef"
            yield SecretRequirement(path, source.name, is_optional=source.optional, in_environment=True)


def _wants_of_triggers(plan: FunctionPlan) -> Iterator[SecretRequirement]:
    for name, trigger in plan.triggers.items():
        if find_kind(trigger).has_broker and trigger.secret:
            path = f"spec.triggers.{name}.secret"
            try:
                yield SecretRequirement(path, *SecretRef.parse(trigger.secret))
            except ValueError as error:
                raise ConfigError([f"{plan.function.document}: {path}: {error}"]) from error


def _wants_of_outputs(plan: FunctionPlan) -> Iterator[SecretRequirement]:
    for name, output in plan.outputs.items():
        if secret := find_output_kind(output).find_secret(output):
            yield SecretRequirement(f"spec.outputs.{name}.secret", *SecretRef.parse(secret))


def _wants_of_volumes(plan: FunctionPlan) -> Iterator[SecretRequirement]:
    for number, volume in enumerate(plan.spec.volumes):
        if source := volume.volume.secret:
            path, folder = f"spec.volumes.{number}.volume.secret", volume.volume_mount.mount_path
            for key in [item.key for item in source.items] or [""]:
                yield SecretRequirement(path, source.secret_name, key, source.optional, volume=source, folder=folder)


def _mount(plan: FunctionPlan, want: SecretRequirement, *, known: Iterable[SecretRef]) -> Iterator[Mount]:
    for ref in want.find(known):
        function = plan.name if ref.name == BROKER_SECRET.name else ""
        paths = [str(ref)]
        if want.volume:
            paths = [item.path for item in want.volume.items if item.key == ref.key] or [ref.key]
        yield from (Mount(ref, posixpath.join(want.folder, path), function) for path in paths)


def _find_problems(want: SecretRequirement, contents: Mapping[SecretRef, SecretContent]) -> Iterator[str]:
    found = want.find(contents)
    if not found and not want.is_optional:
        known = ", ".join(map(str, sorted(contents)))
        yield f"there is no secret {want}; known: {known}. Set it: invoke secret set {want.name} {want.key or 'KEY'}"
    for ref in found if want.in_environment else ():
        content = contents[ref].get_secret_value()
        if b"\0" in content:
            yield f"the secret {ref} holds a zero byte, which no variable can; mount it as a file (spec.volumes)"
        elif len(content) >= MOST_ENVIRONMENT - 256:
            yield f"the secret {ref} is longer than a variable can be, 128 KiB; mount it as a file (spec.volumes)"
