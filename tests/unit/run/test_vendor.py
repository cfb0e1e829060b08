from stack.run.vendor import FOLDER, hash_files, read_lock


def test_files_are_those_of_the_lock() -> None:
    assert hash_files() == read_lock().files


def test_every_package_is_pinned_by_its_hash() -> None:
    assert all(len(package.sha256) == 64 and package.version for package in read_lock().packages)


def test_licence_is_beside_every_file() -> None:
    assert all((path / "LICENSE").is_file() for path in FOLDER.iterdir() if path.is_dir())
