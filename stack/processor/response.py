"""What a handler returned, as a response; the rules are those of Nuclio's Python runtime.

Where Nuclio loses something, this does not: a list is a JSON list (Nuclio answers with its first element only), and
headers that are not texts are kept (Nuclio drops them).
"""

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple

import nuclio_sdk
from nuclio_sdk.json_encoder import Encoder

_TEXT, _JSON = "text/plain", "application/json"
_encode_json = Encoder().encode
# The header that names a file to be sent.
FILE_PATH = "x-nuclio-filestream-path"


class Response(NamedTuple):
    """A response, ready to be written."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_failure(self) -> bool:
        """Tell whether the handler says that it failed; the source of the event may try it again."""
        return self.status >= 500


class Stream(NamedTuple):
    """A response that comes piece by piece; the first piece is the head too where there is none yet."""

    head: Response | None
    pieces: Generator[Any] | AsyncGenerator[Any]


_NO_HEADERS: Mapping[str, str] = {}
_NONE = Response(200, _TEXT, b"None", _NO_HEADERS)


def respond(result: Any) -> Response | Stream:
    """Return the response that a handler's result means; a generator is a stream.

    Raises:
        TypeError: a Response whose status is no integer, whose content type is no text, or whose body is no JSON.
        ValueError: a status outside 100 to 999.
    """
    if result is None:
        return _NONE
    if isinstance(result, str):
        return Response(200, _TEXT, result.encode(), _NO_HEADERS)
    if isinstance(result, bytes):
        return Response(200, _TEXT, result, _NO_HEADERS)
    if isinstance(result, nuclio_sdk.Response):
        return _respond_with(result)
    if isinstance(result, tuple) and len(result) == 2:
        return _respond_with_status(*result)
    if isinstance(result, dict | list):
        return Response(200, _JSON, _encode_json(result).encode(), _NO_HEADERS)
    if isinstance(result, GeneratorType | AsyncGeneratorType):
        return Stream(None, result)
    return Response(200, _TEXT, to_bytes(result), _NO_HEADERS)


def begin_stream(head: Response | None, piece: Any) -> Response:
    """Return what is sent first of a stream: its head with its first piece.

    Raises:
        TypeError: the piece, which is the head too, is itself a stream.
    """
    if head:
        return head._replace(body=to_bytes(piece))
    response = respond(piece)
    if isinstance(response, Stream):
        raise TypeError("a generator should give the pieces of a body, not another generator")
    return response


def refuse(status: int, text: str) -> Response:
    """Return the processor's own answer where no handler gave one."""
    return Response(status, _TEXT, text.encode(errors="replace"), _NO_HEADERS)


def _respond_with(response: nuclio_sdk.Response) -> Response | Stream:
    status = _check_status(response.status_code)
    headers = {str(name): str(value) for name, value in (response.headers or {}).items()}
    if isinstance(response.body, dict):
        return Response(status, _JSON, json.dumps(response.body).encode(), headers)
    content_type = response.content_type
    if not isinstance(content_type, str):
        raise TypeError(f"the response's content_type should be a text, not {content_type!r}")
    if content_type == _TEXT:
        # nuclio-sdk's default: a header that says more is what the user meant.
        named = [value for name, value in headers.items() if name.lower() == "content-type"]
        content_type = named[-1] if named else content_type
    if isinstance(response.body, GeneratorType | AsyncGeneratorType):
        return Stream(Response(status, content_type, b"", headers), response.body)
    whole = Response(status, content_type, to_bytes(response.body), headers)
    if headers and any(name.lower() == FILE_PATH for name in headers):
        from stack.processor.file import open_named_file

        return open_named_file(whole)
    return whole


def _respond_with_status(status: object, body: object) -> Response:
    if isinstance(body, str):
        return Response(_check_status(status), _TEXT, body.encode(), _NO_HEADERS)
    return Response(_check_status(status), _JSON, _encode_json(body).encode(), _NO_HEADERS)


def _check_status(status: object) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"the response's status should be a whole number, not {status!r}")
    if status and not 100 <= status <= 999:
        raise ValueError(f"the response's status should be from 100 to 999, not {status}")
    return int(status) or 200


def to_bytes(body: object) -> bytes:
    """Return a body as it is sent; a piece of a stream may be a whole Response, whose body it then is."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if isinstance(body, nuclio_sdk.Response):
        return to_bytes(body.body)
    return str(body).encode()
