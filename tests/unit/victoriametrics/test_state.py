"""How much the store has and how much room there is, as its page of metrics says, and what is told of it."""

import pytest

from stack.errors import DataError
from stack.victoriametrics.state import read_state

PAGE = """\
go_threads 8
vm_data_size_bytes{{type="indexdb/file"}} 1000000
vm_data_size_bytes{{type="storage/small"}} 2000000
vm_free_disk_space_bytes{{path="/victoria-metrics-data"}} {free}
vm_free_disk_space_limit_bytes{{path="/victoria-metrics-data"}} 1000000000
vm_rows{{type="indexdb/file"}} 77
vm_rows{{type="storage/inmemory"}} 3
vm_rows{{type="storage/small"}} 1234567
vm_storage_is_read_only{{path="/victoria-metrics-data"}} {full}
"""


def test_size_is_told() -> None:
    state = read_state(PAGE.format(free=5_000_000_000, full=0))
    assert str(state) == "The store has 1,234,570 points in 3 MB; 5,000 MB of its disk are free."
    assert state.troubles == ()


@pytest.mark.parametrize(
    ("free", "full", "level", "what"),
    [
        (999_000_000, 1, "error", "takes no readings: 999 MB of the disk are free, and data.disk_free is 1,000 MB"),
        (1_900_000_000, 0, "warn", "will take no more readings soon: 1,900 MB of the disk are free"),
    ],
)
def test_disk_that_is_full_or_nearly_is_told(free: int, full: int, level: str, what: str) -> None:
    (trouble,) = read_state(PAGE.format(free=free, full=full)).troubles
    assert (trouble.subject, trouble.level) == ("victoria-metrics", level)
    assert trouble.what.startswith(what)
    assert "data.retention" in trouble.advice


def test_page_that_says_nothing_is_an_error() -> None:
    with pytest.raises(DataError):
        read_state("go_threads 8\n")
