"""Quantities of Kubernetes, as Docker takes them."""

import math
import re

_QUANTITY = re.compile(r"\+?(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?", re.ASCII)
_FACTORS: dict[str | None, float] = {None: 1, "n": 1e-9, "u": 1e-6, "m": 1e-3} | {
    unit: 1000**power for power, unit in enumerate("kMGTPE", start=1)
}
_BINARY: dict[str | None, float] = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", start=1)}
# What Docker refuses to go below or above, in bytes.
_LEAST_MEMORY, _MOST_MEMORY = 6 * 1024**2, 2**63 - 1
# Such small units of a processor make sense, and none of its multiples.
_OF_CPUS = (None, "n", "u", "m")


def cpus(text: str) -> str:
    """Turn `500m` or `2` into Docker's number of processors; nothing stays nothing.

    Raises:
        ValueError: it is not a quantity of processors.
    """
    if not text:
        return ""
    number, unit = _split(text, "cpu")
    if unit not in _OF_CPUS:
        raise ValueError(f"cpu should be such as 500m or 2, not {text!r}")
    return f"{number * _FACTORS[unit]:g}"


def memory_bytes(text: str) -> int:
    """Turn `64Mi` or `1G` into bytes; nothing becomes 0.

    Raises:
        ValueError: it is not a quantity of bytes.
    """
    if not text:
        return 0
    number, unit = _split(text, "memory")
    if unit in _OF_CPUS[1:]:
        raise ValueError(f"memory should be such as 64Mi or 1G, not {text!r}")
    return int(number * (_FACTORS | _BINARY)[unit])


def check_memory(text: str) -> str:
    """Return a limit of memory as it is, if Docker takes it; 0 and nothing are no limit.

    Raises:
        ValueError: it is not a quantity, or one that Docker refuses.
    """
    size = memory_bytes(text)
    if 0 < size < _LEAST_MEMORY:
        raise ValueError(f"memory should be at least 6Mi, the least that Docker gives, not {text!r}")
    if size > _MOST_MEMORY:
        raise ValueError(f"memory should be less than 8Ei, not {text!r}")
    return text


def _split(text: str, what: str) -> tuple[float, str | None]:
    match = _QUANTITY.fullmatch(text)
    number = float(f"{match[1]}e{match[3] or 0}") if match else math.inf
    if not match or math.isinf(number * _BINARY["Ei"]):
        raise ValueError(f"{what} should be a quantity such as 500m or 64Mi, not {text!r:.60}")
    return number, match[2]
