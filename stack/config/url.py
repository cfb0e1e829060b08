"""Addresses of brokers and of code."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _check(text: str) -> str:
    try:
        _ = urlsplit(text if "://" in text else f"//{text}").port
    except ValueError as error:
        raise ValueError(f"should be an address such as amqp://broker.example:5672, not {text!r} ({error})") from error
    return text


Address = Annotated[str, AfterValidator(_check)]


def _check_place(text: str) -> str:
    try:
        urlsplit(text)
    except ValueError as error:
        raise ValueError(f"should be an address such as https://code.example/function.zip ({error})") from error
    return text


Place = Annotated[str, AfterValidator(_check_place)]
"""A URL, or a path of this machine."""
