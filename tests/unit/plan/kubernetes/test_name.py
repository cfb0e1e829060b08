"""Names as Kubernetes takes them."""

import re

import pytest

from stack.plan.kubernetes.name import choose_labels, is_namespace, is_service_name, is_variable, make_name, name_claim

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def test_a_name_that_fits_stays() -> None:
    assert make_name("thermo", "function-") == "function-thermo"


@pytest.mark.parametrize("text", ["iot/sensors", "A_b.C", "-", "", "ü", "a" * 300, "plant.oven.*", "ends-"])
def test_every_text_becomes_a_name(text: str) -> None:
    name = make_name(text, "queue-")
    assert LABEL.fullmatch(name)
    assert len(name) <= 46


def test_texts_that_look_alike_have_names_of_their_own() -> None:
    texts = ["a/b", "a.b", "a_b", "A/b", "a-b", "a" * 90, "a" * 91]
    assert len({make_name(one, "queue-") for one in texts}) == len(texts)


def test_labels_that_are_none_are_left_out() -> None:
    labels = {"tier": "a", "example.com/tier": "", "x": "has spaces", "no label": "a", "y": "a" * 64, "-z": "a"}
    assert choose_labels(labels) == {"tier": "a", "example.com/tier": ""}


def test_a_volume_has_a_name_that_kubernetes_has() -> None:
    assert name_claim("a.b-1") == "a.b-1"
    assert name_claim("a..b").startswith("claim-a-b-")


def test_what_is_a_name() -> None:
    assert is_namespace("plant-2") and not is_namespace("Plant") and not is_namespace("a" * 64)
    assert is_service_name("nuclio-nuclio-a") and not is_service_name("2a") and not is_service_name("a.b")
    assert is_variable("A.b-c_1") and not is_variable("1A") and not is_variable("a/b")
