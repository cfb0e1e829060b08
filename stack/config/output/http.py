"""A service on the web that is called."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from stack.config.environment import SecretRef
from stack.config.output.base import BaseOutput
from stack.config.value import Duration


class HttpOutput(BaseOutput):
    """A URL."""

    own_keys = ("secret",)

    kind: Literal["http"]
    url: str = Field(min_length=1)
    """Where to, such as https://hooks.example/x."""
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    """The method of the request."""
    headers: dict[str, str] = {}
    """Headers of each request, as key: value; those of `send` win."""
    secret: str = ""
    """A secret, as NAME.KEY, that is sent as `Authorization: Bearer …`."""
    timeout: Duration = "10s"
    """How long an answer may take."""

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"should begin with http:// or https:// and name a host, not {value!r}")
        return value

    @field_validator("secret")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        if value:
            SecretRef.parse(value)
        return value


MODEL = HttpOutput
