"""What an upgrade does on Docker Swarm, and what it does not."""

from unittest.mock import Mock

import pytest

from stack.errors import ConflictError
from stack.plan.broker_data import BrokerData
from stack.run.upgrade import Upgrade, check_data_stays

OLDER, WANTED = BrokerData("rabbitmq-data", "3.12.1"), BrokerData("rabbitmq-data", "4.0.5")


def make_stack(nodes: int, *, is_swarm: bool = True) -> Mock:
    stack = Mock()
    stack.engine.is_swarm, stack.settings.broker.nodes = is_swarm, nodes
    return stack


@pytest.mark.parametrize(("nodes", "way"), [(1, "write `engine: compose`"), (3, "docs/guides/swarm.md tells")])
def test_data_of_a_swarm_is_not_taken_to_another_rabbitmq(nodes: int, way: str) -> None:
    for upgrade in (Upgrade("", OLDER, None, WANTED), Upgrade("old", None, OLDER, WANTED)):
        check_data_stays(make_stack(1, is_swarm=False), upgrade)
        with pytest.raises(ConflictError, match=way):
            check_data_stays(make_stack(nodes), upgrade)


def test_base_images_of_a_swarm_are_made_again() -> None:
    check_data_stays(make_stack(3), Upgrade("they are 40 days old", None, None, WANTED))
