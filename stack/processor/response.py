"""What a handler returned, as a response; the rules are those of Nuclio's Python runtime.

Where Nuclio loses something, this does not: a list is a JSON list (Nuclio answers with its first element only), and
headers that are not texts are kept (Nuclio drops them).
"""

import json
import re
from collections.abc import AsyncGenerator, Generator, Mapping
from functools import lru_cache
from pathlib import Path
from types import AsyncGeneratorType, GeneratorType
from typing import Any, NamedTuple

import nuclio_sdk
from nuclio_sdk.json_encoder import Encoder

_TEXT, _JSON, _BYTES = "text/plain", "application/json", "application/octet-stream"
_encode_json = Encoder().encode
# What makes JSON of numbers and arrays of NumPy, and of times, those of pandas too.
_TO_JSON = ("tolist", "isoformat")
# The header that names a file to be sent.
FILE_PATH = "x-nuclio-filestream-path"
_DELETE = "x-nuclio-filestream-delete-after-send"
# Bytes of a file that are read at once.
_PIECE = 256 * 1024
# How many headers a response may have, and their bytes: HAProxy, and so the gateway, takes no more than 101 and 15 KiB,
# of which the processor's own headers and the log of a call need some.
_COUNT_LIMIT, _HEAD_LIMIT = 80, 10 * 1024
# Bytes that a header takes there beside its name and value.
_HEADER_COST = 12
# A header's name, as HTTP has it: RFC 9110's token.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What would end a header's value, or have a strict client refuse all of the response.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Response(NamedTuple):
    """A response, ready to be written."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_failure(self) -> bool:
        """Return whether the handler says that it failed; the source of the event may try it again."""
        return self.status >= 500


class Stream(NamedTuple):
    """A response that comes piece by piece; the first piece is the head too where there is none yet."""

    head: Response | None
    pieces: Generator[Any] | AsyncGenerator[Any]


class _StrictEncoder(Encoder):  # type: ignore[misc]
    """Refuses what JSON does not have: nuclio-sdk's own encoder would send its text, as Python writes it."""

    def default(self, value: Any) -> Any:
        """Return what a value is to JSON.

        Raises:
            TypeError: it is nothing.
        """
        for name in _TO_JSON:
            if callable(convert := getattr(value, name, None)):
                return convert()
        raise TypeError(f"JSON has no {type(value).__name__}; send a number, a text, or a dict or list of them")


_encode_strictly = _StrictEncoder().encode


def encode_body(body: Any) -> tuple[bytes, str]:
    """Return a body as it is sent, and its content type: bytes and texts as they are, all else as JSON.

    Raises:
        TypeError: JSON has no such thing.
    """
    if isinstance(body, str):
        return str.encode(body), _TEXT
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), _BYTES
    return _encode_strictly(body).encode(), _JSON


# Characters of a wrong value that an error shows.
_SHOWN = 100
_NO_HEADERS: Mapping[str, str] = {}
_NONE = Response(200, _TEXT, b"None", _NO_HEADERS)


# Nuclio's answer to a client whose event took longer than eventTimeout.
TIMED_OUT = Response(408, _JSON, b'{"error": "handler timed out"}', _NO_HEADERS)


def respond(result: Any, *, folder: Path | None = None) -> Response | Stream:
    """Return the response that a handler's result means; a generator is a stream.

    A Response may name a file below `folder`, which then is its body.

    Raises:
        TypeError: a Response whose status is no integer, whose content type is no text, whose headers are no mapping,
            or whose body is no JSON.
        ValueError: a status outside 200 to 999, or a file that is not to be sent.
    """
    if result is None:
        return _NONE
    if isinstance(result, str):
        return Response(200, _TEXT, str.encode(result), _NO_HEADERS)
    if isinstance(result, bytes):
        return Response(200, _TEXT, to_bytes(result), _NO_HEADERS)
    if isinstance(result, nuclio_sdk.Response):
        return _respond_with(result, folder)
    if isinstance(result, tuple) and len(result) == 2:
        return _respond_with_status(*result)
    if isinstance(result, dict | list):
        return Response(200, _JSON, _encode_json(result).encode(), _NO_HEADERS)
    if isinstance(result, GeneratorType | AsyncGeneratorType):
        return Stream(None, result)
    # A handler in a process of its own gives what is ready.
    return result if isinstance(result, Response) else Response(200, _TEXT, to_bytes(result), _NO_HEADERS)


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
    check_head(response)
    return response


def respond_to_http(result: Any, *, folder: Path | None = None) -> Response | Stream:
    """Do as `respond`, and make sure that HTTP can say what the response's head has.

    Raises:
        TypeError: as `respond`.
        ValueError: as `respond`, and a header or content type that HTTP has no way to write.
    """
    response = respond(result, folder=folder)
    head = response.head if isinstance(response, Stream) else response
    if head and (head.headers or head.content_type is not _TEXT):
        check_head(head)
    return response


def check_head(response: Response) -> None:
    """Make sure that a response's head can be written.

    Raises:
        ValueError: a header or the content type cannot, or all of them are too long for the gateway.
    """
    size = len(_check_value("content_type", response.content_type))
    for name, value in response.headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"the response's header {_shorten(name)} should have a name of HTTP, such as X-Sensor")
        size += len(name) + len(_check_value(name, value)) + _HEADER_COST
    if size > _HEAD_LIMIT:
        raise ValueError(f"the response's headers should have at most {_HEAD_LIMIT} bytes, not {size}; use the body")
    if len(response.headers) > _COUNT_LIMIT:
        raise ValueError(f"the response should have at most {_COUNT_LIMIT} headers, not {len(response.headers)}")


def refuse(status: int, text: str) -> Response:
    """Return the processor's own answer where no handler gave one."""
    return Response(status, _TEXT, text.encode(errors="replace"), _NO_HEADERS)


@lru_cache(maxsize=128)
def _check_value(name: str, value: str) -> bytes:
    """Return a header's value as it is written: in UTF-8, as Nuclio writes it."""
    try:
        written = value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the response's {name} {_shorten(value)} has half of a surrogate pair in it") from None
    if sign := _CONTROL.search(value):
        raise ValueError(f"the response's {name} {_shorten(value)} should have no {sign[0]!r} in it")
    return written


def _shorten(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _respond_with(response: nuclio_sdk.Response, folder: Path | None) -> Response | Stream:
    status = _check_status(response.status_code)
    headers = _read_headers(response.headers)
    if isinstance(response.body, dict):
        return Response(status, _JSON, json.dumps(response.body).encode(), headers)
    content_type = response.content_type
    if not isinstance(content_type, str):
        raise TypeError(f"the response's content_type should be a text, not {_show(content_type)}")
    content_type = _to_plain(content_type)
    if content_type == _TEXT:
        # nuclio-sdk's default: a header that says more is what the user meant.
        named = [value for name, value in headers.items() if name.lower() == "content-type"]
        content_type = named[-1] if named else content_type
    if isinstance(response.body, GeneratorType | AsyncGeneratorType):
        return Stream(Response(status, content_type, b"", headers), response.body)
    whole = Response(status, content_type, to_bytes(response.body), headers)
    if headers and any(name.lower() == FILE_PATH for name in headers):
        return open_named_file(whole, folder)
    return whole


def _read_headers(headers: object) -> dict[str, str]:
    """Return headers as texts."""
    if not headers:
        return {}
    if not isinstance(headers, Mapping):
        hint = "; its text is body=…" if isinstance(headers, str | bytes) else ""
        raise TypeError(f"the response's headers should be a dict, not {_show(headers)}{hint}")
    return {_to_plain(str(name)): _to_plain(str(value)) for name, value in headers.items()}


def _to_plain(text: str) -> str:
    """Return a text of a class of the user's, such as an enumeration, as a plain one."""
    return text if type(text) is str else str.__str__(text)


def _show(value: object) -> str:
    """Return an object's text, shortened, or else its class: a user's own may have none."""
    try:
        return _shorten(repr(value))[1:-1]
    except Exception:
        return f"a {type(value).__name__}"


def _respond_with_status(status: object, body: object) -> Response:
    if isinstance(body, str):
        return Response(_check_status(status), _TEXT, str.encode(body), _NO_HEADERS)
    return Response(_check_status(status), _JSON, _encode_json(body).encode(), _NO_HEADERS)


def _check_status(status: object) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"the response's status should be a whole number, not {_show(status)}")
    number = int.__int__(status) or 200
    if not 200 <= number <= 999:
        # What is less is no answer yet: the client would wait for one.
        raise ValueError(f"the response's status should be from 200 to 999, not {number}")
    return number


def to_bytes(body: object) -> bytes:
    """Return a body as it is sent; a piece of a stream may be a whole Response, whose body it then is."""
    if type(body) is bytes:
        return body
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(memoryview(body))
    if isinstance(body, nuclio_sdk.Response):
        return to_bytes(body.body)
    return str.encode(str(body))


def open_named_file(head: Response, folder: Path | None) -> Response | Stream:
    """Return the file that a head names, as a stream under the rest of it; 404 where there is none.

    With Nuclio's second header, whatever its value, the file is deleted when it was sent, or the client has left.
    Only a file below the folder is sent, links followed: a name may be made of what a client said.

    Raises:
        ValueError: it is not below the folder, there is none, or it is no file.
        OSError: the file cannot be read.
    """
    names = {name.lower(): name for name in head.headers}
    path = _resolve_file(head.headers[names[FILE_PATH]], folder)
    rest = {name: value for name, value in head.headers.items() if name.lower() not in (FILE_PATH, _DELETE)}
    head = head._replace(headers=rest)
    if not path.exists():
        return head._replace(status=404, body=b"")
    if not path.is_file():
        raise ValueError(f"X-Nuclio-Filestream-Path: {str(path)!a} is no file")
    return Stream(head, _read_file(path, delete=_DELETE in names))


def _resolve_file(name: str, folder: Path | None) -> Path:
    """Return where a file is, every link followed."""
    if folder is None:
        raise ValueError(
            "X-Nuclio-Filestream-Path: the http trigger's attribute filestreamFolder should name the folder below "
            "which files may be sent; it names none"
        )
    path = Path(folder, name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"X-Nuclio-Filestream-Path: {name!a} is not below filestreamFolder, {folder}")
    return path


def _read_file(path: Path, *, delete: bool) -> Generator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                yield piece
    finally:
        if delete:
            path.unlink(missing_ok=True)
