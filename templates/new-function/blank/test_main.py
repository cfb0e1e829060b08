from main import handler

from stack.processor.testing import invoke


def test_the_body_comes_back():
    assert invoke(handler, body="hello").body == b"hello"
