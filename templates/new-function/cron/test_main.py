from main import handler

from stack.processor.testing import invoke


def test_runs_are_counted():
    # As the trigger of function.yaml sends it.
    answers = [invoke(handler, body=b'{"job": "report"}').body for _ in range(2)]
    assert answers == [b"report 1", b"report 2"]
