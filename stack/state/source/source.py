"""The code of functions that is elsewhere: fetched once into .stack/state/sources/NAME/, by its digest."""

import hashlib
import os
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from stack import console
from stack.config.settings import Downloads, Settings
from stack.config.source import FOLDER, Function, add_code
from stack.errors import FunctionError
from stack.plan.code_entry import Account, Item, Kind, Origin, complete_attributes, find_origin, sign_address
from stack.state.host import find_ca
from stack.state.http_client import StatusError, basic_authorization, explain, fetch
from stack.state.source.archive import unpack
from stack.state.source.git import Account as GitAccount
from stack.state.source.git import open_repository
from stack.state.vault import open_vault
from stack.state.workspace import Workspace, make_folder, try_read_word, write_file

# Tells of each origin which tree it was last.
_MEMORY = "current"
_DIGITS = 16
_PARTIAL = ".fetching-"
# What is older was left behind by a task that was killed.
_LONGEST_FETCH = 3600.0
# Amazon's own tools read it: the address of a store that speaks S3.
_S3_ENDPOINT = "AWS_ENDPOINT_URL_S3"


@dataclass(frozen=True)
class Store:
    """What was fetched of one function's code."""

    workspace: Workspace
    settings: Settings
    function: Function

    def fetch(self) -> Function:
        """Fetch the code again, and return the function with its files.

        Raises:
            FunctionError: it is not there, is too large, takes too long, or leads out of its folder.
        """
        origin = find_origin(self.function)
        if origin is None:
            return self.function
        try:
            return self._with_code(origin, *self._find_tree(self._with_secret(origin)))
        except FunctionError as error:
            raise FunctionError(f"The code of {self.function.name} could not be fetched: {error}") from error

    def recall(self) -> Function:
        """Return the function with the files that were fetched last, and never ask the network."""
        origin = find_origin(self.function)
        if origin is None:
            return self.function
        with suppress(FunctionError):
            if origin.kind is Kind.LOCAL:
                return self.fetch()
            if known := self._known_tree(origin):
                return self._with_code(origin, *known)
        return replace(self.function, files=(), is_fetched=False, requirements=())

    def _known_tree(self, origin: Origin) -> tuple[Path, str] | None:
        """Return the tree that was fetched last, and the version that it is of."""
        memory = self._folder / _MEMORY
        known = try_read_word(memory).split()
        # Without a third word it was written by an older release.
        if len(known) not in (2, 3) or known[0] != origin.digest or not (self._folder / known[1]).is_dir():
            return None
        return self._folder / known[1], known[-1]

    def _find_tree(self, origin: Origin) -> tuple[Path, str]:
        """Return the folder of the code, and its version; a folder of this machine has none."""
        if origin.kind is Kind.LOCAL:
            local = self._local(origin)
            self._check_local(local, origin.address)
            if local.is_dir():
                return local, ""
        make_folder(self._folder)
        tree, version = self._fetch_file(origin) if origin.kind is Kind.LOCAL else self._fetch_far(origin)
        write_file(self._folder / _MEMORY, f"{origin.digest} {tree.name} {version}\n".encode())
        for path in self._folder.iterdir():
            if path.is_dir() and path != tree and not _is_being_filled(path):
                shutil.rmtree(path, ignore_errors=True)
        return tree, version

    def _check_local(self, local: Path, address: str) -> None:
        """Refuse code of this machine that is not the user's to deploy, by whatever links a path leads there."""
        allowed = (self.workspace.root / FOLDER, *map(Path, self.settings.allow.host_paths))
        real = local.resolve()
        if not any(real.is_relative_to(one.resolve()) for one in allowed):
            raise FunctionError(
                f"spec.build.path: {address} is not below {FOLDER}/, and stack.yaml does not allow it; "
                f"add to stack.yaml: allow: {{host_paths: [{real}]}}"
            )

    def _with_secret(self, origin: Origin) -> Origin:
        name = origin.attributes.secret
        if not name:
            return origin
        vault = open_vault(self.workspace)
        found = {ref.key: content for ref, content in vault.contents.items() if ref.name == name}
        if not found:
            raise FunctionError(f"there is no secret {name}. Type `invoke secret set {name} password`")
        values = {key: content.get_secret_value().decode(errors="replace").strip() for key, content in found.items()}
        return replace(origin, attributes=complete_attributes(origin.attributes, values))

    def _fetch_far(self, origin: Origin) -> tuple[Path, str]:
        with console.working(f"Fetching the code of {self.function.name}"):
            return self._fetch_git(origin) if origin.kind is Kind.GIT else self._fetch_file(origin)

    # What fetches is imported only where something is fetched: every task asks what was.

    def _fetch_git(self, origin: Origin) -> tuple[Path, str]:
        given = origin.attributes
        ca, limits = find_ca(self.settings), self.settings.downloads
        repository = open_repository(
            origin.address, limits, account=GitAccount(given.username, given.password or None), ca=ca
        )
        commit = repository.resolve(origin.reference)
        tree = self._keep(commit, lambda folder: repository.check_out(origin.reference, commit, folder=folder))
        return tree, f"commit:{commit}"

    def _fetch_file(self, origin: Origin) -> tuple[Path, str]:
        with self._temporary() as folder:
            file = self._local(origin) if origin.kind is Kind.LOCAL else folder / "download"
            if origin.kind is not Kind.LOCAL:
                headers, ca = origin.attributes.headers, find_ca(self.settings)
                download(_address(origin), file, headers=headers, limits=self.settings.downloads, ca=ca)
            elif not file.is_file():
                raise FunctionError(f"spec.build.path: {self._explain_missing(origin.address)}")
            tree = self._keep(_digest(origin, file), lambda target: self._lay_out(origin, file, folder=target))
            return tree, f"sha256:{_digest_file(file)}"

    def _explain_missing(self, address: str) -> str:
        scheme, is_address, _ = address.partition("://")
        if is_address and scheme.isalnum():
            kinds = "write one that begins with https:// or http://, or a path of this machine"
            return f"nothing is fetched from an address that begins with {scheme}://; {kinds}"
        return f"there is no {address!r} in {self.function.folder}"

    def _lay_out(self, origin: Origin, file: Path, *, folder: Path) -> None:
        if origin.is_one_file:
            shutil.copy(file, folder / origin.file_name)
        else:
            unpack(file, folder, self.settings.downloads.bytes)

    def _keep(self, digest: str, fill: Callable[[Path], None]) -> Path:
        """Return the tree of a digest; it is filled only if it is not there, and then in one step."""
        tree = self._folder / digest[:_DIGITS]
        if not tree.is_dir():
            with self._temporary() as folder:
                fill(folder)
                folder.chmod(0o755)
                _move(folder, tree)
        return tree

    def _with_code(self, origin: Origin, tree: Path, version: str) -> Function:
        folder = _find_root(tree) if origin.has_root else tree
        code = folder / origin.attributes.work_dir.strip("/")
        if not code.is_dir() or not code.resolve().is_relative_to(folder.resolve()):
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
            given = origin.attributes.work_dir
            raise FunctionError(
                f"spec.build.codeEntryAttributes.workDir: there is no folder {given!r}; there are {there}"
            )
        own = self.workspace.root / self.function.folder
        function = add_code(self.function, own, code=code, workspace=self.workspace.root)
        return replace(function, origin=origin.shown, version=version)

    def _local(self, origin: Origin) -> Path:
        return self.workspace.root / self.function.folder / Path(origin.address).expanduser()

    @property
    def _folder(self) -> Path:
        return self.workspace.state / "sources" / self.function.name

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def forget_code(workspace: Workspace, name: str) -> None:
    """Remove what was fetched of a function's code."""
    shutil.rmtree(workspace.state / "sources" / name, ignore_errors=True)


def _is_being_filled(path: Path) -> bool:
    if not path.name.startswith(_PARTIAL):
        return False
    try:
        return time.time() - path.stat().st_mtime < _LONGEST_FETCH
    except FileNotFoundError:
        # What filled it has moved it to its place.
        return True


def _move(folder: Path, tree: Path) -> None:
    """Rename a folder, unless another task was quicker."""
    try:
        folder.rename(tree)
    except OSError:
        if not tree.is_dir():
            raise


def _digest_file(file: Path) -> str:
    """Return what stands for a file's content alone, as `sha256sum` prints it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _digest(origin: Origin, file: Path) -> str:
    """Return what stands for a file's content, and for its name where it is not unpacked."""
    with file.open("rb") as content:
        total = hashlib.file_digest(content, "sha256")
    total.update(origin.file_name.encode() if origin.is_one_file else b"")
    return total.hexdigest()


def _find_root(tree: Path) -> Path:
    found = list(tree.iterdir())
    if len(found) != 1 or not found[0].is_dir():
        raise FunctionError(f"GitHub's archive should hold one folder, and holds {len(found)} entries")
    return found[0]


def _address(origin: Origin) -> str:
    if origin.kind is not Kind.S3:
        return origin.address
    given = origin.attributes
    item = Item(given.s3_bucket, given.s3_item_key, given.s3_region, os.environ.get(_S3_ENDPOINT, ""))
    account = Account(given.s3_access_key_id, given.s3_secret_access_key, given.s3_session_token)
    return sign_address(item, account, now=datetime.now(UTC))


_CHUNK_BYTES = 1 << 18
# How long a server may say nothing.
_SILENCE = 30.0


def download(url: str, target: Path, *, headers: Mapping[str, str], limits: Downloads, ca: Path | None) -> None:
    """Write what is behind an http or https URL into a file.

    Raises:
        FunctionError: it is no address, is not there, is too large, or takes too long.
    """
    shown, deadline = _hide_secrets(url), time.monotonic() + limits.seconds
    address, account = _split_account(url)
    try:
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(ca)
        silence = min(_SILENCE, limits.seconds)
        with fetch(address, timeout=silence, headers=account | dict(headers), context=context) as answer:
            _receive(answer, target, limits=limits, deadline=deadline)
    except StatusError as error:
        raise FunctionError(f"{shown}: the server answered {error.status} {error}. {_advise(error.status)}") from None
    except (HTTPError, OSError, ValueError) as error:
        raise FunctionError(
            f"{shown}: {explain(error)}. Check the address, and that this machine can reach it."
        ) from error


def _receive(answer: BaseHTTPResponse, target: Path, *, limits: Downloads, deadline: float) -> None:
    received = 0
    with target.open("wb") as file:
        # What is there by now: `read` waits, for longer than the limit, until there is a whole chunk.
        while chunk := answer.read1(_CHUNK_BYTES):
            received += len(chunk)
            if received > limits.bytes:
                raise FunctionError(
                    f"it is larger than {limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
                )
            if time.monotonic() > deadline:
                raise FunctionError(
                    f"it took longer than {limits.seconds} s; `downloads.seconds` in stack.yaml permits more"
                )
            file.write(chunk)


def _advise(status: int) -> str:
    if status in (401, 403):
        return "It asks for an account: name a secret in spec.build.codeEntryAttributes.secret."
    return "Check spec.build.path and spec.build.codeEntryAttributes."


def _split_account(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without the account in it, and that as a header."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    username, _, password = map(unquote, account.partition(":"))
    header = {"Authorization": basic_authorization(username, password)} if account else {}
    return urlunsplit(parts._replace(netloc=host)), header


def _hide_secrets(url: str) -> str:
    """Return a URL without what may be a secret in it.

    Raises:
        FunctionError: it is none.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FunctionError(f"what should be its address is none: {error}. Check spec.build.path.") from error
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
