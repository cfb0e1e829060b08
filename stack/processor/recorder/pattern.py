"""Patterns in rules: which topics one is about, and labels made of a topic. The control plane reads them as well."""

import re
from collections.abc import Sequence

# What the text of a label begins with that stands in a header.
HEADER = "header."
_PLACE = re.compile(r"\{(\d+)\}")


def compile_filter(text: str, separator: str) -> re.Pattern[str]:
    """Return what matches a topic, or a routing key, with its separator after it; + and * are one level, # is any."""
    mark = re.escape(separator)
    one = f"[^{mark}]*{mark}"
    wildcards = {"+": one, "*": one, "#": f"(?:{one})*"}
    return re.compile("".join(wildcards.get(level, re.escape(level) + mark) for level in text.split(separator)))


def fill_label(text: str, levels: Sequence[str]) -> str:
    """Return the text of a label in which {2} stands for the second level; one that is not there is empty."""

    def find(place: re.Match[str]) -> str:
        number = int(place[1])
        return levels[number] if number < len(levels) else ""

    return _PLACE.sub(find, text)
