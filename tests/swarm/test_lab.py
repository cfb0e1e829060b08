"""The machines that the tests of a Swarm play with are what they seem."""

from tests.docker.workspace import wait_until
from tests.swarm.lab import Lab


def test_a_node_that_is_off_is_away_and_comes_back(lab: Lab) -> None:
    assert lab.hostnames() == {"n1", "n2", "n3"}
    lost = lab.nodes[2]
    lost.power_off()
    wait_until(lambda: lab.hostnames(state="down") == {"n3"}, seconds=60, what="n3 being down")
    lost.start()
    lost.await_engine()
    wait_until(lambda: lab.hostnames() == {"n1", "n2", "n3"}, seconds=60, what="n3 being ready")
