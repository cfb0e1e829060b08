"""What is read of the gateway's statistics."""

from stack.docker.gateway import Traffic, read_traffic

STATS = """# pxname,svname,qcur,scur,status,addr,
control,FRONTEND,,1,OPEN,,
container,any,0,0,no check,0.0.0.0:0,
container,BACKEND,0,0,UP,,
function-one,container1,0,2,UP,10.0.0.2:8080,
function-one,container2,0,1,DOWN,10.0.0.3:8080,
function-one,container3,0,0,UP 1/2,10.0.0.4:8080,
function-one,again,0,3,no check,127.0.0.1:8404,
function-one,next,0,0,no check,127.0.0.1:8080,
function-one,BACKEND,0,9,UP,,
function-none,BACKEND,0,0,UP,,
"""


def test_requests_that_wait_count_once_and_who_is_down_gets_none() -> None:
    traffic = read_traffic(STATS)
    assert traffic == {"one": Traffic(6, frozenset({"10.0.0.2", "10.0.0.4"})), "none": Traffic()}
