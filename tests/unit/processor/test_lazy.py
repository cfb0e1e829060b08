"""A postponed module is loaded by who first uses it."""

import subprocess
import sys

import pytest

_POSTPONED = "from stack.processor.lazy import postpone; postpone('http.client'); import sys; "


@pytest.mark.parametrize(
    "use",
    [
        "import http.client; made = http.client.HTTPConnection",
        "from http.client import HTTPConnection as made",
        "from http import client; made = client.HTTPConnection",
        "import urllib.request; made = urllib.request.http.client.HTTPConnection",
    ],
)
def test_whoever_uses_it_has_it(use: str) -> None:
    lines = f"{_POSTPONED}assert 'email.message' not in sys.modules; {use}; print(made('host').port)"
    assert _run(lines) == "80"


def test_it_has_nothing_else_once_it_is_loaded() -> None:
    lines = f"{_POSTPONED}import http.client\nassert not hasattr(http.client, 'no_such_name')\n"
    assert _run(f"{lines}print(http.client.OK, '__getattr__' in vars(http.client))") == "200 False"


def test_threads_that_use_it_at_once_all_have_it() -> None:
    lines = f"{_POSTPONED}import http.client; from concurrent.futures import ThreadPoolExecutor as Pool\n"
    lines += "with Pool(8) as pool: found = set(pool.map(lambda _: http.client.HTTPSConnection.default_port, range(8)))"
    assert _run(f"{lines}\nprint(found)") == "{443}"


def test_what_is_there_already_stays() -> None:
    assert _run(f"import http.client; before = http.client; {_POSTPONED}print(http.client is before)") == "True"


def test_what_is_not_there_is_missed_by_who_imports_it() -> None:
    lines = "from stack.processor.lazy import postpone; postpone('no_such_module')\ntry: import no_such_module\n"
    assert _run(f"{lines}except ModuleNotFoundError as error: print(error.name)") == "no_such_module"


def test_a_function_starts_without_it() -> None:
    lines = "import sys; from stack.processor.__main__ import main\ntry: main(['--config', '/none'])\n"
    waiting = "'__getattr__' in vars(sys.modules['http.client']), '__getattr__' in vars(sys.modules['ipaddress'])"
    assert _run(f"{lines}finally: print('nuclio_sdk' in sys.modules, {waiting})") == "True True True"


def _run(lines: str) -> str:
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.strip()
