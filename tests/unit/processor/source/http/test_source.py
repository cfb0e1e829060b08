"""How an http trigger's port is closed."""

import socket

import pytest

from stack.processor.source.http import source


def test_a_port_that_refuses_keeps_those_who_have_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as client:
            source._refuse(listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(listener.getsockname())
            (accepted,) = source._accept_all(listener)
            with accepted:
                assert accepted.getpeername() == client.getsockname()
