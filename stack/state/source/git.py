"""Git: one commit of a repository, without its history."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from stack.config.settings import Downloads
from stack.errors import FunctionError
from stack.state.source.archive import MOST_ENTRIES, find_leaving_links

_CHUNK_BYTES = 1 << 16
# How often it is looked at what git has written.
_LOOK_SECONDS = 0.2
# A list of the references of a large repository is shorter.
_MOST_OUTPUT_BYTES = 20_000_000
# What a shell says of a program that it does not find.
_NOT_FOUND = 127


@dataclass
class Call:
    """A git that runs, and the files of what it prints."""

    process: "subprocess.Popen[bytes]"
    stdout: IO[bytes]
    stderr: IO[bytes]
    limits: Downloads
    deadline: float
    status: int = 0

    @property
    def output(self) -> str:
        """Return what it has printed."""
        return _read(self.stdout)

    @property
    def errors(self) -> str:
        """Return what it has said of errors."""
        return _read(self.stderr)

    def wait(self, folder: Path | None = None) -> None:
        """Wait until it has ended; `folder` is where it writes.

        Raises:
            FunctionError: it takes too long, writes or prints too much, or is not installed.
        """
        while not self._has_ended(folder, _LOOK_SECONDS):
            continue
        if self.status == _NOT_FOUND:
            raise FunctionError("git is not installed. Type `sudo apt install git`.")

    def read_entries(self) -> Iterator[str]:
        """Yield what it prints, split by NUL, as it comes; the file of its output is read behind it.

        Raises:
            FunctionError: it takes too long, or fails.
        """
        held, has_ended = b"", False
        with open(self.stdout.name, "rb") as file:  # noqa: PTH123 -- a descriptor of its own, with its own position
            while True:
                chunk = file.read(_CHUNK_BYTES)
                *whole, held = (held + chunk).split(b"\0")
                yield from (entry.decode(errors="replace") for entry in whole)
                if not chunk:
                    if has_ended:
                        break
                    has_ended = self._has_ended(None, _LOOK_SECONDS / 4)
        if self.status:
            raise FunctionError(f"git cannot list the files: {self.errors.strip()}")

    def _has_ended(self, folder: Path | None, seconds: float) -> bool:
        try:
            self.status = self.process.wait(min(seconds, self._find_rest()))
        except subprocess.TimeoutExpired:
            self._check(folder)
            return False
        return True

    def _find_rest(self) -> float:
        return max(0.01, self.deadline - time.monotonic())

    def _check(self, folder: Path | None) -> None:
        if time.monotonic() >= self.deadline:
            message = f"git took longer than {self.limits.seconds} s; `downloads.seconds` in stack.yaml permits more"
            raise FunctionError(message)
        # A pack and the files that come of it are there together for a moment.
        if folder and _measure(folder) > 2 * self.limits.bytes + _MOST_OUTPUT_BYTES:
            raise FunctionError(
                f"it is larger than {self.limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
            )
        if os.fstat(self.stdout.fileno()).st_size > _MOST_OUTPUT_BYTES:
            raise FunctionError("git says more than any repository should have to say")


@contextmanager
def start_call(
    arguments: Sequence[str], environment: Mapping[str, str], *, limits: Downloads, deadline: float
) -> Iterator[Call]:
    """Start git in a group of processes of its own, which all end with the block.

    No file that it writes, such as a pack of objects, may be larger than the limit, in blocks of 512 bytes.
    """
    command = ["sh", "-c", f'ulimit -f {limits.bytes // 512}; exec git "$@"', "git", *arguments]
    with tempfile.NamedTemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            yield Call(process, stdout, stderr, limits, deadline)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git and what it has started, which is a group of processes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_OUTPUT_BYTES).decode(errors="replace")


def _measure(folder: Path) -> int:
    """Return how many bytes the files below a folder have, which may go while it is looked."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total


_COMMIT = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
# Give git the account by its environment: on its command line every user of this machine could read it.
_USERNAME, _PASSWORD, _HELPER = "TIDEGATE_GIT_USERNAME", "TIDEGATE_GIT_PASSWORD", "TIDEGATE_GIT_HELPER"
_HELP = f'!f() {{ echo "username=${_USERNAME}"; echo "password=${_PASSWORD}"; }}; f'
# A name alone may be a secret too: a token.
_ACCOUNT = re.compile(r"(?<=://)[^\s/@]+@")
# Where git looks for a reference that is not written in full, in its own order.
_RULES = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
# A repository brings nothing that runs on this machine: no hook, no filter such as Git LFS's, no other repository.
_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false", "gc.auto=0"),
    *("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false", "fetch.unpackLimit=1"),
)
_CONFIG = tuple(part for setting in _SETTINGS for part in ("-c", setting))
# Some servers, plain files behind HTTP for one, cannot give a commit without its history.
_NO_SHALLOW = "shallow"


@dataclass(frozen=True)
class Account:
    """Who asks; what is not given is git's own affair, as for ssh."""

    username: str = ""
    password: str | None = None


def open_repository(url: str, limits: Downloads, *, account: Account, ca: Path | None = None) -> "Repository":
    """Return a repository, by an address that may stand on a command line: an account in the URL is taken out of it."""
    parts = urlsplit(url)
    written, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https") or not written:
        return Repository(url, limits, account, ca)
    name, colon, password = map(unquote, written.partition(":"))
    own = Account(name, password) if colon else Account(account.username or name, account.password)
    return Repository(urlunsplit(parts._replace(netloc=host)), limits, own, ca)


@dataclass(frozen=True)
class Repository:
    """A repository and who asks."""

    url: str
    limits: Downloads
    account: Account = Account()
    ca: Path | None = None

    @cached_property
    def _deadline(self) -> float:
        """Return when all calls of git together have to be done."""
        return time.monotonic() + self.limits.seconds

    def resolve(self, reference: str) -> str:
        """Return the commit that a reference stands for.

        Raises:
            FunctionError: there is none, or the repository cannot be reached.
        """
        if _COMMIT.match(reference):
            return reference
        commit = _find_commit(self._run("ls-remote", "--", self.url, reference, f"{reference}^{{}}"), reference)
        if not commit:
            raise FunctionError(f"{self._shown} has no {reference}. Check spec.build.codeEntryAttributes.")
        return commit

    def check_out(self, reference: str, commit: str, *, folder: Path) -> None:
        """Write the files of a commit, which a reference stands for, into an empty folder.

        A server need not give a commit away by its number, so the reference is asked for.

        Raises:
            FunctionError: it cannot be fetched, is too large, or takes too long.
        """
        self._run("init", "--quiet", "--template=", str(folder))
        fetch = ("-C", str(folder), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
        try:
            self._run(*fetch, "--depth=1", "--", self.url, reference, folder=folder)
        except FunctionError as error:
            if _NO_SHALLOW not in str(error):
                raise
            self._run(*fetch, "--", self.url, reference, folder=folder)
        if self._run("-C", str(folder), "rev-parse", "FETCH_HEAD^{commit}").strip() != commit:
            raise FunctionError(f"{reference} of {self._shown} has changed meanwhile. Try again.")
        self._check_tree(folder, commit)
        self._run("-C", str(folder), "checkout", "--quiet", "--detach", commit, folder=folder)
        shutil.rmtree(folder / ".git")
        for link in find_leaving_links(folder):
            raise FunctionError(f"the link {link} in {self._shown} leads out of its folder")

    def _check_tree(self, folder: Path, commit: str) -> None:
        """Make sure that the files of a commit are neither too large nor too many before one is written.

        A few bytes of a repository can stand for any number of both.
        """
        room, count = self.limits.bytes, 0
        with self._started("-C", str(folder), "ls-tree", "-r", "--long", "-z", "--full-tree", commit) as call:
            for entry in call.read_entries():
                size = entry.split("\t")[0].split()[-1]
                room, count = room - (int(size) if size.isdecimal() else 0), count + 1
                if room < 0:
                    raise FunctionError(f"what is in {self._shown} is too much: {_too_large(self.limits)}")
                if count > MOST_ENTRIES:
                    raise FunctionError(f"{self._shown} has more than {MOST_ENTRIES} files")

    def _run(self, *arguments: str, folder: Path | None = None) -> str:
        """Return what git prints; `folder` is where it writes, which may not grow beyond what is permitted."""
        with self._started(*arguments) as call:
            call.wait(folder)
            if call.status:
                reason = _ACCOUNT.sub("", call.errors.strip()) or _too_large(self.limits)
                raise FunctionError(f"git cannot read {self._shown}: {reason}")
            return call.output

    def _started(self, *arguments: str) -> AbstractContextManager[Call]:
        return start_call(
            [*self._options(), *_CONFIG, *arguments], self._environment(), limits=self.limits, deadline=self._deadline
        )

    def _options(self) -> tuple[str, ...]:
        """Have the account for this server alone: not for another one that it leads to."""
        parts = urlsplit(self.url)
        scope = f"credential.{parts.scheme}://{parts.netloc}"
        if self.account.password is not None:
            return "-c", "credential.helper=", f"--config-env={scope}.helper={_HELPER}"
        return (f"--config-env={scope}.username={_USERNAME}",) if self.account.username else ()

    def _environment(self) -> Mapping[str, str]:
        own = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}
        own |= {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_ADVICE": "0"}
        account = {_USERNAME: self.account.username or "git", _PASSWORD: self.account.password or "", _HELPER: _HELP}
        return {**os.environ, **own, **account, **({"GIT_SSL_CAINFO": str(self.ca)} if self.ca else {})}

    @property
    def _shown(self) -> str:
        return _ACCOUNT.sub("", self.url)


def _find_commit(listing: str, reference: str) -> str:
    """Return the commit of what git would fetch by a reference, among all whose names end with it."""
    found = {name: commit for commit, name in (line.split("\t") for line in listing.splitlines())}
    names = [rule.format(reference) for rule in _RULES]
    # Of a tag with a message, the commit that it is put on.
    return next((found.get(f"{name}^{{}}", found[name]) for name in names if name in found), "")


def _too_large(limits: Downloads) -> str:
    return f"it is larger than {limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
