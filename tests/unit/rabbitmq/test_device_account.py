"""Accounts of devices at the broker, and their sessions."""

from typing import cast

from stack.rabbitmq.device_account import remove_accounts
from stack.rabbitmq.management import Broker, RefusedError


class FakeBroker:
    """A broker that is told what to delete; sessions without acknowledgement are in use."""

    def __init__(self) -> None:
        self.sessions = {f"mqtt-subscription-a{number}qos1": 0 for number in range(0, 100, 20)}
        self.deleted: list[str] = []

    def request(self, _method: str, path: str, document: dict[str, list[str]]) -> None:
        assert path == "/api/users/bulk-delete" and document["users"]

    def queues(self) -> dict[str, int]:
        return self.sessions

    def delete_queue(self, name: str) -> None:
        if name.endswith("qos0"):
            raise RefusedError("exclusive", 400)
        self.deleted.append(name)


def test_sessions_go_with_their_devices() -> None:
    broker = FakeBroker()
    remove_accounts(cast(Broker, broker), ["a0"])
    assert broker.deleted == ["mqtt-subscription-a0qos1"]
    broker.deleted.clear()
    remove_accounts(cast(Broker, broker), [f"a{number}" for number in range(90)])
    assert broker.deleted == list(broker.sessions)
