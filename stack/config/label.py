"""Labels, by Kubernetes' rules: what a node selector is made of."""

import re
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}/)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?/")


def _check(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        prefix = _PREFIX.match(key)
        if not _NAME.fullmatch(key[prefix.end() :] if prefix else key):
            raise ValueError(f"{key!r} is no label's name, such as disk or example.com/disk")
        if value and not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is no label's value: at most 63 of a-z, A-Z, 0-9, '-', '_' and '.'")
    return labels


Labels = Annotated[dict[str, str], AfterValidator(_check)]
