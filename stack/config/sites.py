"""sites.yaml: stacks elsewhere to which functions are deployed, each with its address and what tells it from others."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, field_validator

from stack.config.document import Document, parse_model
from stack.config.environment import SecretRef
from stack.config.yaml_loader import read_mapping
from stack.errors import ConfigError

FILE = "sites.yaml"
EXAMPLE = "sites: [{name: north, via: 'https://north.example:8443', labels: {region: n}}]"
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_WEB = ("http", "https")


def split_address(text: str) -> SplitResult:
    """Return the parts of a dashboard's address; one without a scheme is that of http.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in _WEB or not parts.hostname or parts.port == 0:
        raise ValueError("no address of a dashboard")
    return parts


def name_address(parts: SplitResult) -> str:
    """Return the address without the login that it may hold."""
    path = parts.path.rstrip("/").removesuffix("/api")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _check_via(text: str) -> str:
    try:
        parts = split_address(text)
    except ValueError:
        message = "should be the address of a dashboard, such as https://north.example:8443"
        raise ValueError(f"{message}, not {text!r}") from None
    if "@" in parts.netloc:
        raise ValueError("should have no password in it: put that into a secret, and its NAME.KEY under `secret`")
    return name_address(parts)


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"should be at most 63 letters, digits, -, _ and ., such as north, not {text!r}")
    return text


def _check_secret(text: str) -> str:
    if text:
        SecretRef.parse(text)
    return text


class Site(Document):
    """A stack elsewhere."""

    name: Annotated[str, AfterValidator(_check_name)] = Field(examples=["north"])
    """What it is called, which `--site` takes."""
    via: Annotated[str, AfterValidator(_check_via)] = Field(examples=["https://north.example:8443"])
    """The address of its dashboard, without a login."""
    labels: dict[Annotated[str, Field(pattern=r"^[^=\x00]+$")], str] = {}
    """What tells it from others, such as {region: n}; `--site region=n` chooses by it."""
    secret: Annotated[str, AfterValidator(_check_secret)] = ""
    """NAME.KEY of the secret of this workspace that has its token, or its USER:PASSWORD; without it TIDEGATE_TOKEN."""


class Sites(Document):
    """Everything in sites.yaml."""

    sites: tuple[Site, ...] = ()
    """The stacks, in the order in which `--waves` takes them."""

    @field_validator("sites")
    @classmethod
    def _differ(cls, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        twice = [*_find_twice(sites, lambda one: one.name), *_find_twice(sites, lambda one: one.via)]
        if twice:
            raise ValueError(f"should have each name and each address once, not twice {', '.join(twice)}")
        return sites


def _find_twice(sites: tuple[Site, ...], key: Callable[[Site], str]) -> list[str]:
    return [text for text, count in Counter(map(key, sites)).items() if count > 1]


def load_sites(path: Path) -> tuple[Site, ...]:
    """Read sites.yaml.

    Raises:
        ConfigError: it is not there, or something in it is wrong; every problem is named with its path.
    """
    sites = parse_model(Sites, read_mapping(path, path.name), name=path.name).sites
    if not sites:
        raise ConfigError([f"{path.name}: sites: is empty; name one, such as {EXAMPLE}"])
    return sites
