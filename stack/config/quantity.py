"""Quantities of Kubernetes, as Docker takes them."""

import re

_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
_FACTORS = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}i": 1024**power for power, unit in enumerate("KMGT", start=1)
}


def cpus(text: str) -> str:
    """Turn `500m` or `2` into Docker's number of processors; nothing stays nothing.

    Raises:
        ValueError: it is not a quantity of processors.
    """
    if not text:
        return ""
    number, unit = _split(text, "cpu")
    if unit not in (None, "m"):
        raise ValueError(f"cpu should be such as 500m or 2, not {text!r}")
    return f"{float(number) / (1000 if unit else 1):g}"


def memory_bytes(text: str) -> int:
    """Turn `64Mi` or `1G` into bytes; nothing becomes 0.

    Raises:
        ValueError: it is not a quantity of bytes.
    """
    if not text:
        return 0
    number, unit = _split(text, "memory")
    if unit == "m":
        raise ValueError(f"memory should be such as 64Mi or 1G, not {text!r}")
    return int(float(number) * _FACTORS[unit])


def _split(text: str, what: str) -> tuple[str, str | None]:
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{what} should be a quantity such as 500m or 64Mi, not {text!r}")
    return match[1], match[2]
