"""Files as responses: a handler names one in its response's headers, which the client does not see."""

from collections.abc import Generator
from pathlib import Path

from stack.processor.response import FILE_PATH, Response, Stream

_DELETE = "x-nuclio-filestream-delete-after-send"
# Bytes of a file that are read at once.
_PIECE = 256 * 1024


def open_named_file(head: Response, folder: Path | None) -> Response | Stream:
    """Return the file that a head names, as a stream under the rest of it; 404 where there is none.

    With Nuclio's second header, whatever its value, the file is deleted when it was sent, or the client has left.
    Only a file below the folder is sent, links followed: a name may be made of what a client said.

    Raises:
        ValueError: it is not below the folder, there is none, or it is no file.
        OSError: the file cannot be read.
    """
    names = {name.lower(): name for name in head.headers}
    path = _resolve(head.headers[names[FILE_PATH]], folder)
    rest = {name: value for name, value in head.headers.items() if name.lower() not in (FILE_PATH, _DELETE)}
    head = head._replace(headers=rest)
    if not path.exists():
        return head._replace(status=404, body=b"")
    if not path.is_file():
        raise ValueError(f"X-Nuclio-Filestream-Path: {str(path)!a} is no file")
    return Stream(head, _read(path, delete=_DELETE in names))


def _resolve(name: str, folder: Path | None) -> Path:
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


def _read(path: Path, *, delete: bool) -> Generator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                yield piece
    finally:
        if delete:
            path.unlink(missing_ok=True)
