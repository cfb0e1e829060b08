"""Names of images."""

import re
from typing import Annotated

from pydantic import AfterValidator

# Docker's own grammar: an optional registry, a lower-case path, an optional tag, an optional digest.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"^(?:{_HOST}(?::\d+)?/)?{WORD}(?:/{WORD})*(?::\w[\w.-]{{0,127}})?(?:@[\w+.-]+:[0-9a-f]{{32,}})?$")
_REGISTRY = re.compile(rf"^{_HOST}(?::\d+)?(?:/{WORD})*/?$")
# What Nuclio fills in: {{ .Label }} and {{ .Arch }}.
_TEMPLATE = re.compile(r"\{\{ *\.?\w* *\}\}", re.ASCII)


def is_image_name(text: str) -> bool:
    """Return whether Docker takes a text for the name of an image."""
    return _NAME.fullmatch(text) is not None


def _check_name(text: str) -> str:
    if text and not _NAME.fullmatch(_TEMPLATE.sub("x", text)):
        raise ValueError(f"should be the name of an image, such as registry.example:5000/team/name:tag, not {text!r}")
    return text


def _check_registry(text: str) -> str:
    if text and not _REGISTRY.fullmatch(text):
        raise ValueError(f"should be a registry, such as registry.example:5000/team, not {text!r}")
    return text


ImageName = Annotated[str, AfterValidator(_check_name)]
Registry = Annotated[str, AfterValidator(_check_registry)]
