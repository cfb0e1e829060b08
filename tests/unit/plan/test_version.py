"""RabbitMQ's releases: which reads whose data."""

import pytest

from stack.plan.broker_data import explain_step, find_path, read_series


@pytest.mark.parametrize(
    ("text", "series"), [("4.0.5", (4, 0)), ("3.13.7-1", (3, 13)), (" 4.3\n", (4, 3)), ("", None), ("latest", None)]
)
def test_series_of_a_version(text: str, series: tuple[int, int] | None) -> None:
    assert read_series(text) == series


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ((4, 0), (4, 0), ((4, 0),)),
        ((4, 0), (4, 2), ((4, 0), (4, 2))),
        ((4, 0), (4, 3), ((4, 0), (4, 2), (4, 3))),
        ((4, 2), (4, 3), ((4, 2), (4, 3))),
        ((3, 13), (4, 3), ((3, 13), (4, 2), (4, 3))),
        ((3, 10), (4, 0), ((3, 10), (3, 11), (3, 12), (3, 13), (4, 0))),
        ((4, 3), (4, 5), ((4, 3), (4, 4), (4, 5))),
        ((4, 3), (4, 0), None),
        ((2, 8), (4, 0), None),
    ],
)
def test_way_from_one_series_to_another(
    old: tuple[int, int], new: tuple[int, int], path: tuple[tuple[int, int], ...] | None
) -> None:
    assert find_path(old, new) == path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("4.0.5", "4.0.9", ""),
        ("4.2.1", "4.3.5", ""),
        ("unknown", "4.3.5", ""),
        (
            "4.0.5",
            "4.3.5",
            "Go by way of 4.2, then 4.3: set `images.rabbitmq` in stack.yaml to rabbitmq:4.2-management",
        ),
        ("4.3.5", "4.0.5", "RabbitMQ 4.0.5 does not read the data of 4.3.5, which is newer."),
        ("2.8.1", "4.0.5", "No way is known from the data of RabbitMQ 2.8.1 to 4.0.5."),
    ],
)
def test_step_that_cannot_be_taken_says_which_can(old: str, new: str, told: str) -> None:
    found = explain_step(old, new)
    assert told in found
    assert bool(found) == bool(told)
