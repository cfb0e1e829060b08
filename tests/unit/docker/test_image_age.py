"""How old base images are, as a person is told."""

import pytest

from stack.docker.stack import OLD_DAYS, describe_age


@pytest.mark.parametrize(("days", "when"), [(-1, "today"), (0, "today"), (1, "yesterday"), (5, "5 days ago")])
def test_young_images_are_told_without_advice(days: int, when: str) -> None:
    assert describe_age(days) == f"The base images were made {when}."


def test_clock_that_is_behind_is_told() -> None:
    assert describe_age(-20785) == "By this machine's clock the base images are of a day to come; set the clock."


def test_old_images_come_with_what_to_do() -> None:
    told = describe_age(OLD_DAYS)
    assert f"{OLD_DAYS} days ago. `invoke upgrade` makes them again" in told
