"""What the dashboard has of npm."""

import json

from stack.dev.vendor import FOLDER, LOCK, SUMS, hash_files, list_bundled


def test_files_are_those_that_were_made() -> None:
    assert hash_files() == SUMS.read_text()


def test_every_package_is_pinned_by_its_hash_and_none_by_an_address() -> None:
    packages = {path: one for path, one in json.loads(LOCK.read_text())["packages"].items() if path}
    assert all(one["version"] and one["integrity"].startswith("sha512-") for one in packages.values())
    assert "resolved" not in LOCK.read_text()


def test_licence_is_beside_every_file_and_names_each_package_of_the_bundle() -> None:
    assert all((path / "LICENSE").is_file() for path in FOLDER.iterdir() if path.is_dir())
    told = (FOLDER / "codemirror" / "LICENSE").read_text()
    assert all(f"{name} {version}\n" in told for name, version in list_bundled())
