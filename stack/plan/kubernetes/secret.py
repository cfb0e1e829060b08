"""The Secrets that exported objects name: which there have to be, and their values as this stack has them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stack.config.environment import Secret, SecretContent
from stack.plan.account import ACCOUNT, derive, function_account
from stack.plan.broker import AMQP_PORT, BROKER_SECRET, MQTT_PORT, MQTT_SECRET, Credentials
from stack.plan.inputs import Inputs
from stack.plan.kubernetes.broker import CLUSTER, KEDA, PEOPLE
from stack.plan.kubernetes.workload import Workload
from stack.plan.secret import Vault
from stack.plan.store import URL_SECRET


@dataclass(frozen=True)
class NeededSecret:
    """A Secret by its name, its keys, and those of its values that are known here."""

    name: str
    contents: Mapping[str, SecretContent | None]

    @property
    def labels(self) -> dict[str, str]:
        """Return its labels: the topology operator takes an account of no Secret without its own."""
        is_account = {"username", "password"} <= set(self.contents)
        return {"rabbitmq.com/topology-operator": "true"} if is_account else {}

    @property
    def data(self) -> dict[str, str]:
        """Return the values as a Secret has them."""
        known = ((key, one) for key, one in self.contents.items() if one is not None)
        return {key: base64.b64encode(one.get_secret_value()).decode() for key, one in known}


def find_secrets(
    workloads: Sequence[Workload], inputs: Inputs, *, vault: Vault, is_scaled: bool
) -> tuple[NeededSecret, ...]:
    """Return the Secrets that there have to be, by name."""
    found: dict[str, dict[str, SecretContent | None]] = {}
    for workload in workloads:
        for mount in workload.service.mounts:
            is_away = mount.secret == URL_SECRET and URL_SECRET not in vault.contents
            content = None if is_away else vault.read(mount)
            found.setdefault(workload.name_secret(mount), {})[mount.secret.key] = content
        if workload.has_account:
            account = function_account(inputs.accounts.key, workload.service.plan.name)
            own = found[f"{workload.name}.{BROKER_SECRET.name}"]
            own |= _describe(account)
            own[BROKER_SECRET.key] = _encode(account.url(CLUSTER, AMQP_PORT))
            own[MQTT_SECRET.key] = _encode(account.url(CLUSTER, MQTT_PORT, "mqtt"))
    if not inputs.accounts.current.is_guest:
        found[f"{PEOPLE}.broker"] = _describe(inputs.accounts.current)
    if is_scaled:
        password = Secret(derive(inputs.accounts.key, ACCOUNT, name=KEDA).hex())
        found[f"{KEDA}.broker"] = _describe(Credentials(KEDA, password))
    return tuple(NeededSecret(name, contents) for name, contents in sorted(found.items()))


def _describe(account: Credentials) -> dict[str, SecretContent | None]:
    return {"username": _encode(account.username), "password": _encode(account.password.get_secret_value())}


def _encode(text: str) -> SecretContent:
    return SecretContent(text.encode())
