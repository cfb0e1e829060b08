"""Where code comes from."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stack.config.build import CodeEntryAttributes
from stack.plan.code_entry import Account, Item, Kind, complete_attributes, find_origin, runs_as_is, sign_address
from tests.unit.plan.samples import make_function

GIT = "https://git.example/a/b.git"


@pytest.mark.parametrize(
    ("kind", "path", "attributes", "expected"),
    [
        ("git", GIT, {"branch": "main"}, (Kind.GIT, GIT, "refs/heads/main")),
        ("git", GIT, {"tag": "v1"}, (Kind.GIT, GIT, "refs/tags/v1")),
        ("git", GIT, {"reference": "refs/pull/1/head"}, (Kind.GIT, GIT, "refs/pull/1/head")),
        ("git", GIT, {}, (Kind.GIT, GIT, "HEAD")),
        (
            "github",
            "https://github.com/a/b/",
            {"branch": "dev"},
            (Kind.ARCHIVE, "https://github.com/a/b/archive/dev.zip", ""),
        ),
        ("archive", "https://a.example/get?id=7", {}, (Kind.ARCHIVE, "https://a.example/get?id=7", "")),
        ("", "https://a.example/f.tar.gz", {}, (Kind.ARCHIVE, "https://a.example/f.tar.gz", "")),
        ("", "https://a.example/main.py", {}, (Kind.FILE, "https://a.example/main.py", "")),
        ("s3", "", {"s3Bucket": "b", "s3ItemKey": "k/f.zip"}, (Kind.S3, "s3://b/k/f.zip", "")),
        ("", "../shared", {}, (Kind.LOCAL, "../shared", "")),
        ("image", "../built", {}, (Kind.LOCAL, "../built", "")),
        ("archive", "f.zip", {}, (Kind.LOCAL, "f.zip", "")),
    ],
)
def test_origin(kind: str, path: str, attributes: dict[str, str], expected: tuple[Kind, str, str]) -> None:
    build = {"codeEntryType": kind, "path": path, "codeEntryAttributes": attributes}
    origin = find_origin(make_function(build=build))
    assert origin
    assert (origin.kind, origin.address, origin.reference) == expected
    assert origin.has_root == (kind == "github")


@pytest.mark.parametrize("path", ["", ".", "./"])
def test_folder_itself_is_not_fetched(path: str) -> None:
    assert find_origin(make_function(build={"path": path})) is None


def test_inline_source_wins_over_a_path() -> None:
    assert find_origin(make_function(build={"path": GIT, "functionSourceCode": "cGFzcw=="})) is None


def test_account_is_not_part_of_where_code_is() -> None:
    given = {"codeEntryType": "git", "path": GIT}
    one, other = (
        find_origin(make_function(build={**given, "codeEntryAttributes": {"branch": "a", "password": word}}))
        for word in ("x", "y")
    )
    assert one
    assert other
    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("spec", "files", "expected"),
    [
        ({"image": "a/b:1"}, ("function.yaml",), True),
        ({"image": "a/b:1"}, ("function.yaml", "main.py"), False),
        ({"image": "a/b:1", "build": {"codeEntryType": "image"}}, ("function.yaml", "main.py"), True),
        ({"image": "a/b:1", "build": {"path": GIT}}, ("function.yaml",), False),
        ({"image": "a/b:1", "build": {"functionSourceCode": "cGFzcw=="}}, ("function.yaml",), False),
        ({}, ("function.yaml",), False),
    ],
)
def test_image_of_elsewhere(spec: dict[str, Any], files: tuple[str, ...], expected: bool) -> None:
    assert runs_as_is(make_function(files=files, **spec)) is expected


def test_secret_stands_in_for_what_is_not_written() -> None:
    given = CodeEntryAttributes(username="ann", headers={"A": "1"})
    found = complete_attributes(given, {"username": "bob", "password": "word", "Authorization": "token", "A": "2"})
    assert (found.username, found.password) == ("ann", "word")
    assert found.headers == {"Authorization": "token", "A": "1"}


def test_signature_is_that_of_amazon_s_example() -> None:
    """The example of the S3 reference, "Authenticating Requests: Using Query Parameters"."""
    now = datetime(2013, 5, 24, tzinfo=UTC)
    account = Account("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    address = sign_address(Item("examplebucket", "test.txt"), account, now=now, seconds=86400)
    assert address.startswith("https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert address.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_addresses_of_items() -> None:
    item = Item("b", "a b/c.zip", "eu-south-1")
    assert sign_address(item, Account(), now=datetime.now(UTC)) == "https://b.s3.eu-south-1.amazonaws.com/a%20b/c.zip"
    own = Item("b", "c.zip", endpoint="http://127.0.0.1:9000/")
    assert own.address == "http://127.0.0.1:9000/b/c.zip"
    signed = sign_address(own, Account("k", "s", "t"), now=datetime.now(UTC))
    assert "X-Amz-Security-Token=t" in signed
