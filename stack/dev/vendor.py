"""The dashboard's files from npm, made again: `python -m stack.dev.vendor`, on a machine that has npm.

package.json names the packages and package-lock.json their hashes: `npm install --package-lock-only
--omit-lockfile-registry-resolved` writes it again. Browsers get the files in this folder; nothing of node runs then.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from stack import console
from stack.errors import StackError
from stack.state.workspace import PROGRAM

FOLDER = PROGRAM / "stack" / "dashboard" / "static" / "vendor"
LOCK = FOLDER / "package-lock.json"
SUMS = FOLDER / "SHA256SUMS"
_SOURCES = ("package.json", "package-lock.json", "codemirror/entry.js")
# Which files browsers get as they are, by where they stand in this folder.
_COPIES = {
    "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx/LICENSE": "htmx.org/LICENSE",
    "htmx-ext-sse/sse.min.js": "htmx-ext-sse/dist/sse.min.js",
    "htmx-ext-sse/LICENSE": "htmx-ext-sse/LICENSE",
    "idiomorph/idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
    "idiomorph/LICENSE": "idiomorph/LICENSE",
    "mqtt/mqtt.min.js": "mqtt/dist/mqtt.min.js",
    "mqtt/LICENSE": "mqtt/LICENSE.md",
    "uplot/uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uplot/uPlot.min.css": "uplot/dist/uPlot.min.css",
    "uplot/LICENSE": "uplot/LICENSE",
}
# CodeMirror is many packages; esbuild makes one file of what entry.js names.
_BUNDLE = ("--bundle", "--minify", "--format=esm", "--legal-comments=none", "--log-level=warning")


def hash_files() -> str:
    """Return the hashes of all files of this folder, as `sha256sum` prints them."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path != SUMS)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(FOLDER)}\n" for path in paths)
    return "".join(lines)


def vendor() -> None:
    """Fetch every package of the lock, put its files in their places, bundle the editor, and write the hashes.

    Raises:
        StackError: npm is missing or fails, such as at a package that is not the one that the lock names.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for source in _SOURCES:
            shutil.copy(FOLDER / source, folder)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
        for place, source in _COPIES.items():
            shutil.copy(folder / "node_modules" / source, FOLDER / place)
        bundle = f"--outfile={FOLDER / 'codemirror/codemirror.js'}"
        _run("node_modules/.bin/esbuild", "entry.js", *_BUNDLE, bundle, folder=folder)
        _join_licenses(folder / "node_modules", list_bundled())
    SUMS.write_text(hash_files())
    console.success("The dashboard's files are those of package-lock.json.")


def list_bundled() -> Sequence[tuple[str, str]]:
    """Return the name and version of each package that the editor's bundle is made of."""
    copied = {source.partition("/")[0] for source in _COPIES.values()}
    packages = json.loads(LOCK.read_text())["packages"]
    named = ((path.removeprefix("node_modules/"), one) for path, one in packages.items() if path)
    return [(name, one["version"]) for name, one in named if name not in copied and not one.get("dev")]


def _join_licenses(modules: Path, packages: Sequence[tuple[str, str]]) -> None:
    parts = [f"{name} {version}\n\n{(modules / name / 'LICENSE').read_text().strip()}\n" for name, version in packages]
    (FOLDER / "codemirror" / "LICENSE").write_text("\n---\n\n".join(parts))


def _run(*command: str, folder: Path) -> None:
    try:
        result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise StackError(f"There is no {command[0]} on this machine.") from error
    if result.returncode:
        raise StackError(f"{' '.join(command[:2])} failed:\n{result.stderr.strip()}")


if __name__ == "__main__":
    try:
        vendor()
    except StackError as error:
        sys.exit(str(error))
