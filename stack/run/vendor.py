"""The dashboard's files from npm, fetched again: `python -m stack.run.vendor`, on a machine that has npm.

lock.json names each package, its version and its tarball's hash. To take another version, change it there and empty its
hash: what comes is taken, and its hash noted. Browsers get the files in this folder; nothing of node runs later on.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, Field

from stack import console
from stack.errors import StackError
from stack.state.workspace import PROGRAM

FOLDER = PROGRAM / "stack" / "dashboard" / "static" / "vendor"
LOCK = FOLDER / "lock.json"

# CodeMirror is many packages; esbuild makes one file of what entry.js names.
_EDITOR = FOLDER / "codemirror"
_BUNDLER = "@esbuild/linux-x64"
_BUNDLER_OPTIONS = ("--bundle", "--minify", "--format=esm", "--legal-comments=none", "--log-level=warning")


class Package(BaseModel):
    """A package of npm; `files` says which of its files browsers get, by where they stand in this folder."""

    name: str
    version: str
    sha256: str = ""
    files: Mapping[str, str] = Field(default_factory=dict)


class Lock(BaseModel):
    """What is vendored: the packages, and the hash of every file in this folder."""

    packages: Sequence[Package]
    files: Mapping[str, str] = Field(default_factory=dict)


def read_lock() -> Lock:
    """Return the lock."""
    return Lock.model_validate_json(LOCK.read_text())


def hash_files() -> dict[str, str]:
    """Return the hash of each vendored file."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path != LOCK)
    return {str(path.relative_to(FOLDER)): _hash(path) for path in paths}


def vendor() -> None:
    """Fetch every package of the lock, put its files in their places, bundle the editor, and write the lock.

    Raises:
        StackError: npm is missing or fails, or a tarball is not the one that the lock names.
    """
    lock = read_lock()
    with TemporaryDirectory() as name:
        folder = Path(name)
        packages = [_fetch(package, folder) for package in lock.packages]
        _bundle(folder)
        _join_licenses(folder, [package for package in packages if not package.files])
    document = Lock(packages=packages, files=hash_files()).model_dump()
    LOCK.write_text(json.dumps(document, indent=1) + "\n")
    console.success(f"{len(packages)} packages, {len(document['files'])} files.")


def _fetch(package: Package, folder: Path) -> Package:
    """Unpack a package where a bundler looks for it; return it with its hash."""
    spec = f"{package.name}@{package.version}"
    tarball = folder / _run("npm", "pack", "--silent", spec, folder=folder).strip()
    found = _hash(tarball)
    if package.sha256 not in ("", found):
        raise StackError(f"{spec} is not the tarball that {LOCK.name} names: its hash is {found}.")
    home = folder / "node_modules" / package.name
    with tarfile.open(tarball) as archive:
        archive.extractall(home, filter="data")
    for place, source in package.files.items():
        (FOLDER / place).parent.mkdir(exist_ok=True)
        (FOLDER / place).write_bytes((home / "package" / source).read_bytes())
    for path in (home / "package").iterdir():
        path.rename(home / path.name)
    return package.model_copy(update={"sha256": found})


def _bundle(folder: Path) -> None:
    entry = folder / "entry.js"
    entry.write_bytes((_EDITOR / "entry.js").read_bytes())
    bundler = folder / "node_modules" / _BUNDLER / "bin" / "esbuild"
    _run(str(bundler), str(entry), *_BUNDLER_OPTIONS, f"--outfile={_EDITOR / 'codemirror.js'}", folder=folder)


def _join_licenses(folder: Path, packages: Sequence[Package]) -> None:
    """Keep the licence of each package that the bundle has a part of."""
    modules = folder / "node_modules"
    parts = [
        f"{package.name} {package.version}\n\n{(modules / package.name / 'LICENSE').read_text().strip()}\n"
        for package in packages
        if package.name != _BUNDLER
    ]
    (_EDITOR / "LICENSE").write_text("\n---\n\n".join(parts))


def _run(*command: str, folder: Path) -> str:
    try:
        result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise StackError(f"There is no {command[0]} on this machine.") from error
    if result.returncode:
        raise StackError(f"{' '.join(command[:2])} failed:\n{result.stderr.strip()}")
    return result.stdout


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        vendor()
    except StackError as error:
        sys.exit(str(error))
