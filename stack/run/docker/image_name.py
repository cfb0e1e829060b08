"""Names of images, as Docker tells them."""

import re
from collections.abc import Collection, Iterable

# An image's id, or its first letters.
_ID = re.compile(r"(?:sha256:)?(?P<number>[0-9a-f]{12,64})")
_DEFAULT_REGISTRY = re.compile(r"^(docker\.io/)?(library/)?")


def is_told(image: str, found: Collection[str]) -> bool:
    """Say whether an image is among names and ids that Docker told."""
    return shorten(image) in found or _is_id_of(image, found)


def shorten(image: str) -> str:
    """Return an image's name as Docker tells it."""
    name, _, digest = _DEFAULT_REGISTRY.sub("", image).partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}@{digest}" if digest else f"{folder}{slash}{last}:{tag or 'latest'}"


def _is_id_of(image: str, found: Iterable[str]) -> bool:
    match = _ID.fullmatch(image)
    return match is not None and any(name.startswith(f"sha256:{match['number']}") for name in found)
