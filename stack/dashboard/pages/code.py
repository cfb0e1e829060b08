"""The tab with a function's files: what reads, writes and checks them."""

import json
from collections.abc import Sequence

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stack.config.document import Document
from stack.config.runtime import name_runtime
from stack.config.source import FILE, FOLDER
from stack.config.yaml_loader import Finding, find_places
from stack.dashboard.page import render
from stack.dashboard.pages.function import find_record, has_folder, load_form, read_form, render_tab
from stack.dashboard.services import Services, services_of
from stack.errors import FunctionError
from stack.plan.function_check import check_text
from stack.plan.runtime.registry import RUNTIMES
from stack.run.files import (
    MOST_BYTES,
    find_function_file,
    list_function_files,
    read_function_file,
    remove_function_file,
    rename_function_file,
    write_function_file,
)
from stack.run.function import check_handler_text

_PATH = "/functions/{name}"
_FILE = f"{_PATH}/file"
# An answer with this header has the page open a file.
_OPEN = "open-file"
# Bytes of all files that are sent together.
_MOST_AT_ONCE = 4 * MOST_BYTES


class NewFile(Document):
    """A file that is to be made."""

    path: str


class Renaming(Document):
    """A file, and what its path is to be."""

    path: str
    new: str


class Draft(Document):
    """The text of a file as it is being edited; without it, the text that is saved."""

    path: str
    text: str | None = Field(None, max_length=MOST_BYTES)


def routes() -> list[BaseRoute]:
    """Return the routes of this tab."""
    return [
        Route(f"{_PATH}/code", show_tab),
        Route(f"{_PATH}/files", list_files),
        Route(f"{_PATH}/files", make_file, methods=["POST"]),
        Route(f"{_PATH}/upload", upload_files, methods=["POST"]),
        Route(_FILE, read_file),
        Route(_FILE, write_file, methods=["PUT"]),
        Route(_FILE, remove_file, methods=["DELETE"]),
        Route(f"{_PATH}/rename", rename_file, methods=["POST"]),
        Route(f"{_PATH}/check", check_draft, methods=["POST"]),
    ]


async def show_tab(request: Request) -> Response:
    """Show the tab, with the file that is asked for, or the one that has the handler."""
    record, services = await find_record(request), services_of(request)
    if not has_folder(services, record.name):
        return await render_tab(request, "code.html")
    files = await run_in_threadpool(list_function_files, services.workspace, record.name)
    paths = [one.path for one in files]
    runtime = RUNTIMES[name_runtime(record.config.spec.runtime)]
    wanted = (request.query_params.get("file"), record.source_path, runtime.source, FILE, *paths[:1])
    first = next((one for one in wanted if one in paths), "")
    return await render_tab(request, "code.html", files=files, first=first, suffix=runtime.files.suffix)


async def list_files(request: Request) -> Response:
    """List the files."""
    return await _answer(request)


async def read_file(request: Request) -> Response:
    """Send one file: its text for the editor, or whatever it is to keep it."""
    workspace, (name, path) = services_of(request).workspace, _read_target(request)
    if "download" in request.query_params:
        found = await run_in_threadpool(find_function_file, workspace, name, path)
        return FileResponse(found, media_type="application/octet-stream", filename=found.name)
    file = await run_in_threadpool(read_function_file, workspace, name, path)
    return JSONResponse({"text": file.text, "digest": file.digest})


async def write_file(request: Request) -> Response:
    """Write one file from the body; `known` is the digest of what its writer has read."""
    workspace, (name, path) = services_of(request).workspace, _read_target(request)
    content, known = await _read_body(request), request.query_params.get("known")
    await run_in_threadpool(write_function_file, workspace, name, path, content, known=known)
    return await _answer(request)


async def make_file(request: Request) -> Response:
    """Make an empty file."""
    workspace, wanted = services_of(request).workspace, await read_form(request, NewFile)
    await run_in_threadpool(
        write_function_file, workspace, request.path_params["name"], wanted.path.strip(), b"", known=""
    )
    return await _answer(request, opened=wanted.path.strip())


async def upload_files(request: Request) -> Response:
    """Take in files; ask before any is written over."""
    form = await load_form(request, _MOST_AT_ONCE)
    try:
        files = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
        return await _take_in(request, files, is_asked="overwrite" in form)
    finally:
        await form.close()


async def _take_in(request: Request, files: Sequence[UploadFile], *, is_asked: bool) -> Response:
    workspace, name = services_of(request).workspace, request.path_params["name"]
    if any((one.size or 0) > MOST_BYTES for one in files):
        raise _too_large()
    there = {one.path for one in await run_in_threadpool(list_function_files, workspace, name)}
    known = [one.filename for one in files if one.filename in there]
    if known and not is_asked:
        answer = render(request, "_overwrite_files.html", name=name, names=known)
        answer.headers["HX-Retarget"] = "#dialog"
        return answer
    if not files:
        raise FunctionError("No file has come: choose the files again.")
    for one in files:
        await run_in_threadpool(write_function_file, workspace, name, str(one.filename), await one.read())
    return await _answer(request, opened=str(files[0].filename))


async def remove_file(request: Request) -> Response:
    """Remove one file."""
    workspace, (name, path) = services_of(request).workspace, _read_target(request)
    await run_in_threadpool(remove_function_file, workspace, name, path)
    return await _answer(request)


async def rename_file(request: Request) -> Response:
    """Give one file another path."""
    workspace, wanted = services_of(request).workspace, await read_form(request, Renaming)
    await run_in_threadpool(
        rename_function_file, workspace, request.path_params["name"], wanted.path, wanted.new.strip()
    )
    return await _answer(request, opened=wanted.new.strip())


async def check_draft(request: Request) -> Response:
    """Show what is wrong with a text as it is being edited."""
    services, name, draft = services_of(request), request.path_params["name"], await read_form(request, Draft)
    problems = await run_in_threadpool(_find_problems, services, name, draft)
    return render(request, "_file_problems.html", file=draft.path, problems=problems)


async def _answer(request: Request, opened: str = "") -> Response:
    """Answer with the list of files as it is now, and have a file opened."""
    services, name = services_of(request), request.path_params["name"]
    if request.method != "GET":
        services.catalogue.forget()
    answer = render(
        request, "_files.html", files=await run_in_threadpool(list_function_files, services.workspace, name)
    )
    if opened:
        answer.headers["HX-Trigger-After-Swap"] = json.dumps({_OPEN: {"path": opened}})
    return answer


def _find_problems(services: Services, name: str, draft: Draft) -> Sequence[Finding]:
    """Return what the text alone tells; where that is nothing, why the folder with it cannot be deployed.

    Of the handler's file it is whether the handler is in it.
    """
    try:
        saved = read_function_file(services.workspace, name, draft.path).text
    except FunctionError:
        saved = ""
    text = saved if draft.text is None else draft.text.replace("\r\n", "\n")
    if found := check_text(draft.path, text):
        return found
    if draft.path == FILE:
        return _find_folder_problems(services, name, text=text) if text == saved else ()
    return [
        Finding("", problem, 1, 0) for problem in check_handler_text(services.stack(), name, path=draft.path, text=text)
    ]


def _find_folder_problems(services: Services, name: str, *, text: str) -> Sequence[Finding]:
    record = next((one for one in services.catalogue.records() if one.name == name), None)
    if record is None or not record.problem:
        return ()
    return find_places(text, tuple(record.problem.splitlines()), document=f"{FOLDER}/{name}/{FILE}")


def _read_target(request: Request) -> tuple[str, str]:
    """Return the function's name, and the path of the file, which no browser shortens in a query."""
    return request.path_params["name"], request.query_params.get("path", "")


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> HTTPException:
    return HTTPException(413, f"A file of more than {MOST_BYTES // 1_000_000} MB is copied on the machine instead.")
