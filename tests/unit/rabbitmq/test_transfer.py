"""Messages that keep their routing keys while they are moved: nothing that leads them there outlives the move."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, call

import pytest

from stack.plan.account import ADMINISTRATOR
from stack.plan.device_account import SERVICE_MESSAGES
from stack.plan.drift import MOVED
from stack.rabbitmq.transfer import _keeping_keys, _sign

SESSION = "mqtt-subscription-pump-7qos1"


def test_what_an_interrupted_move_left_is_gone_before_the_next() -> None:
    channel = Mock(is_open=True)
    with _keeping_keys(channel, SESSION, target=f"{SESSION}.moving") as exchange:
        assert exchange == MOVED
        made = [call.exchange_delete(MOVED), call.exchange_declare(MOVED, "topic", auto_delete=True)]
        assert channel.mock_calls == [*made, call.queue_bind(f"{SESSION}.moving", MOVED, "#")]
    assert channel.mock_calls[-1] == call.exchange_delete(MOVED)


@pytest.mark.parametrize("is_open", [True, False])
def test_what_fails_leaves_no_exchange_where_it_can_be_deleted(is_open: bool) -> None:
    channel = Mock(is_open=is_open)
    with pytest.raises(OSError), _keeping_keys(channel, SESSION, target="target"):
        channel.reset_mock()
        raise OSError
    assert channel.mock_calls == ([call.exchange_delete(MOVED)] if is_open else [])


def test_other_queues_need_no_exchange() -> None:
    channel = Mock()
    with _keeping_keys(channel, "orders", target="target") as exchange:
        assert exchange == ""
    assert not channel.mock_calls


def test_the_service_of_devices_is_told_who_moves() -> None:
    properties: Any = SimpleNamespace(user_id=None)
    assert _sign(properties, SESSION).user_id is None
    assert _sign(properties, SERVICE_MESSAGES).user_id == ADMINISTRATOR
