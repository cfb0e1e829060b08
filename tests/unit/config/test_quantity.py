"""Kubernetes' quantities, as Docker takes them."""

import pytest

from stack.config.value import cpus, memory_bytes

# Ways in which Kubernetes writes numbers.
NUMBERS = [(".5", "0.5"), ("5.", "5"), ("+2", "2"), ("1E1", "10"), ("5e-1", "0.5"), ("200000u", "0.2")]


@pytest.mark.parametrize(
    ("text", "expected"), [("", ""), ("500m", "0.5"), ("2", "2"), ("1.5", "1.5"), ("50m", "0.05"), *NUMBERS]
)
def test_cpus(text: str, expected: str) -> None:
    assert cpus(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("", 0), ("64Mi", 64 * 2**20), ("1G", 10**9), ("1.5Gi", 3 * 2**29), ("512", 512), ("5k", 5000)),
        *((".5Gi", 2**29), ("100e6", 10**8), ("5.", 5), ("1E3", 1000), ("1E", 10**18), ("1Ei", 2**60)),
        *(("1Ti", 2**40), ("2P", 2 * 10**15)),
    ],
)
def test_memory(text: str, expected: int) -> None:
    assert memory_bytes(text) == expected


@pytest.mark.parametrize("text", ["abc", "-1", "1Mi", "1 ", "1k", ".", "1e", "1e999"])
def test_not_cpus(text: str) -> None:
    with pytest.raises(ValueError, match="cpu should be"):
        cpus(text)


@pytest.mark.parametrize("text", ["64MB", "500m", "-5Mi", "Mi", "1e999", "1e3Mi", "9n", "٣", "1e300P"])
def test_not_memory(text: str) -> None:
    with pytest.raises(ValueError, match="memory should be"):
        memory_bytes(text)
