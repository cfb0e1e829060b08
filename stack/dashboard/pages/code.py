"""The tab with a function's files: what reads, writes and checks them."""

from dataclasses import asdict

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.config.source import FILE, FOLDER
from stack.config.yaml_loader import Finding, find_places
from stack.dashboard.api.request import read_model
from stack.dashboard.pages.function import find_record, render_tab
from stack.dashboard.services import Services, services_of
from stack.plan.function_check import check_text
from stack.run.files import (
    MOST_BYTES,
    find_function_file,
    list_function_files,
    read_function_file,
    remove_function_file,
    rename_function_file,
    write_function_file,
)

_PATH = "/functions/{name}"
_FILE = f"{_PATH}/file"


class Renaming(Document):
    """A file, and what its path is to be."""

    path: str
    new: str


class Draft(Document):
    """The text of a file that is not saved yet."""

    path: str
    text: str = Field(max_length=MOST_BYTES)


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(f"{_PATH}/code", show_tab),
        Route(f"{_PATH}/files", list_files),
        Route(_FILE, read_file),
        Route(_FILE, write_file, methods=["PUT"]),
        Route(_FILE, remove_file, methods=["DELETE"]),
        Route(f"{_PATH}/rename", rename_file, methods=["POST"]),
        Route(f"{_PATH}/check", check_draft, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab."""
    record = await find_record(request)
    first = request.query_params.get("file") or record.source_path
    return await render_tab(request, "code.html", first=first)


async def list_files(request: Request) -> Response:
    """List the files, and what is wrong with the function as they are."""
    return JSONResponse(await run_in_threadpool(_list, services_of(request), request.path_params["name"]))


async def read_file(request: Request) -> Response:
    """Send one file: its text for the editor, or whatever it is to keep it."""
    workspace, (name, path) = services_of(request).workspace, _read_target(request)
    if "download" in request.query_params:
        found = await run_in_threadpool(find_function_file, workspace, name, path)
        return FileResponse(found, media_type="application/octet-stream", filename=found.name)
    file = await run_in_threadpool(read_function_file, workspace, name, path)
    return JSONResponse(asdict(file))


async def write_file(request: Request) -> Response:
    """Write one file from the body; `known` is the digest of what its writer has read."""
    services, (name, path) = services_of(request), _read_target(request)
    content, known = await _read_body(request), request.query_params.get("known")
    digest = await run_in_threadpool(write_function_file, services.workspace, name, path, content, known=known)
    services.catalogue.forget()
    return JSONResponse({"digest": digest, **await run_in_threadpool(_list, services, name)})


async def remove_file(request: Request) -> Response:
    """Remove one file."""
    services, (name, path) = services_of(request), _read_target(request)
    await run_in_threadpool(remove_function_file, services.workspace, name, path)
    services.catalogue.forget()
    return JSONResponse(await run_in_threadpool(_list, services, name))


async def rename_file(request: Request) -> Response:
    """Give one file another path."""
    services, name, wanted = services_of(request), request.path_params["name"], await read_model(request, Renaming)
    await run_in_threadpool(rename_function_file, services.workspace, name, wanted.path, wanted.new)
    services.catalogue.forget()
    return JSONResponse(await run_in_threadpool(_list, services, name))


async def check_draft(request: Request) -> Response:
    """Tell what is wrong with a text, as far as the text alone tells."""
    draft = await read_model(request, Draft)
    return JSONResponse([asdict(one) for one in await run_in_threadpool(check_text, draft.path, draft.text)])


def _list(services: Services, name: str) -> dict[str, object]:
    files = [asdict(one) for one in list_function_files(services.workspace, name)]
    return {"files": files, "problems": [asdict(one) for one in _find_problems(services, name)]}


def _find_problems(services: Services, name: str) -> tuple[Finding, ...]:
    """Return why the function cannot be deployed as its folder is, with the lines of its configuration."""
    record = next((one for one in services.catalogue.records() if one.name == name), None)
    if record is None or not record.problem:
        return ()
    paths = [one.path for one in list_function_files(services.workspace, name)]
    text = read_function_file(services.workspace, name, FILE).text if FILE in paths else ""
    return find_places(text, tuple(record.problem.splitlines()), f"{FOLDER}/{name}/{FILE}")


def _read_target(request: Request) -> tuple[str, str]:
    """Return the function's name, and the path of the file, which no browser shortens in a query."""
    return request.path_params["name"], request.query_params.get("path", "")


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(
                413, f"A file of more than {MOST_BYTES // 1_000_000} MB is copied on the machine instead."
            )
    return bytes(body)
