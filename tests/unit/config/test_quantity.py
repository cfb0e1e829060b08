"""Kubernetes' quantities, as Docker takes them."""

import pytest

from stack.config.quantity import cpus, memory_bytes


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("500m", "0.5"), ("2", "2"), ("1.5", "1.5"), ("50m", "0.05")])
def test_cpus(text: str, expected: str) -> None:
    assert cpus(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("64Mi", 64 * 2**20), ("1G", 10**9), ("1.5Gi", 3 * 2**29), ("512", 512), ("5k", 5000), ("1Ti", 2**40)],
)
def test_memory(text: str, expected: int) -> None:
    assert memory_bytes(text) == expected


@pytest.mark.parametrize("text", ["abc", "-1", "1Mi", "1 "])
def test_not_cpus(text: str) -> None:
    with pytest.raises(ValueError, match="cpu should be"):
        cpus(text)


@pytest.mark.parametrize("text", ["64MB", "500m", "-5Mi", "Mi"])
def test_not_memory(text: str) -> None:
    with pytest.raises(ValueError, match="memory should be"):
        memory_bytes(text)
