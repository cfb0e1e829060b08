"""Git: one commit of a repository, without its history."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from stack.config.settings import Downloads
from stack.errors import FunctionError

_COMMIT = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
_USERNAME, _PASSWORD = "TIDEGATE_GIT_USERNAME", "TIDEGATE_GIT_PASSWORD"
# Gives git the account by its environment: on its command line every user of this machine could read it.
_HELPER = f'!f() {{ echo "username=${_USERNAME}"; echo "password=${_PASSWORD}"; }}; f'
# Some servers, plain files behind HTTP for one, cannot give a commit without its history.
_NO_SHALLOW = "shallow"


@dataclass(frozen=True)
class Repository:
    """A repository and who asks; an account that is not given is git's own affair, as for ssh."""

    url: str
    limits: Downloads
    username: str = ""
    password: str = ""
    ca: Path | None = None

    def resolve(self, reference: str) -> str:
        """Return the commit that a reference stands for.

        Raises:
            FunctionError: there is none, or the repository cannot be reached.
        """
        if _COMMIT.match(reference):
            return reference
        lines = self._run("ls-remote", "--", self.url, reference, f"{reference}^{{}}").splitlines()
        if not lines:
            raise FunctionError(f"{self._shown} has no {reference}. Check spec.build.codeEntryAttributes.")
        # The last of a tag with a message is the commit that it is put on.
        return lines[-1].split()[0]

    def check_out(self, reference: str, commit: str, folder: Path) -> None:
        """Write the files of a commit, which a reference stands for, into an empty folder.

        A server need not give a commit away by its number, so the reference is asked for.

        Raises:
            FunctionError: it cannot be fetched, is too large, or takes too long.
        """
        self._run("init", "--quiet", str(folder))
        fetch = ("-C", str(folder), "fetch", "--quiet", "--no-tags")
        try:
            self._run(*fetch, "--depth=1", "--", self.url, reference)
        except FunctionError as error:
            if _NO_SHALLOW not in str(error):
                raise
            self._run(*fetch, "--", self.url, reference)
        if self._run("-C", str(folder), "rev-parse", "FETCH_HEAD^{commit}").strip() != commit:
            raise FunctionError(f"{reference} of {self._shown} has changed meanwhile. Try again.")
        self._run("-C", str(folder), "checkout", "--quiet", "--detach", commit)
        shutil.rmtree(folder / ".git")

    def _run(self, *arguments: str) -> str:
        # No file that git writes, such as a pack of objects, may be larger than the limit, in blocks of 512 bytes.
        account = ["-c", "credential.helper=", "-c", f"credential.helper={_HELPER}"] if self.password else []
        try:
            result = subprocess.run(
                ["sh", "-c", f'ulimit -f {self.limits.bytes // 512}; exec git "$@"', "git", *account, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=self._environment(),
                timeout=self.limits.seconds,
                check=False,
            )
        except FileNotFoundError as error:
            raise FunctionError("git is not installed. Type `sudo apt install git`.") from error
        except subprocess.TimeoutExpired as error:
            message = f"git took longer than {self.limits.seconds} s; `downloads.seconds` in stack.yaml permits more"
            raise FunctionError(message) from error
        if result.returncode:
            reason = result.stderr.strip().replace(self.url, self._shown) or _too_large(self.limits)
            raise FunctionError(f"git cannot read {self._shown}: {reason}")
        return result.stdout

    def _environment(self) -> Mapping[str, str]:
        own = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}
        account = {_USERNAME: self.username or "git", _PASSWORD: self.password} if self.password else {}
        return {**os.environ, **own, **account, **({"GIT_SSL_CAINFO": str(self.ca)} if self.ca else {})}

    @property
    def _shown(self) -> str:
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme else self.url


def _too_large(limits: Downloads) -> str:
    return f"it is larger than {limits.megabytes} MB; `downloads.megabytes` in stack.yaml permits more"
