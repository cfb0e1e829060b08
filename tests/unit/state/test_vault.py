"""The vault: files that only their owner can read, whatever is in them."""

from pathlib import Path

import pytest

from stack.config.environment import SecretRef
from stack.errors import HostError
from stack.plan.secret import Mount
from stack.state.vault import delete_secret, mount_secrets, open_vault, unmount_secrets, write_secret
from stack.state.workspace import Workspace

REF = SecretRef("db", "user.name")
MOUNT = Mount(REF, "/run/secrets/db.user.name")
URL = Mount(SecretRef("broker", "url"), "/run/secrets/broker.url", "thermo")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"word", b"two\nlines\n", bytes(range(256)), "grüße 🌡".encode(), b"$HOME ${X} $$ 'a' \"b\" \\ #", b"x" * 2**20],
    ids=["plain", "lines", "binary", "unicode", "signs", "large"],
)
def test_what_was_set_is_mounted_byte_for_byte(workspace: Workspace, content: bytes) -> None:
    write_secret(workspace, REF, content=content)
    vault = open_vault(workspace)
    assert vault.contents[REF].get_secret_value() == content
    mount_secrets(workspace, vault, mounts=[MOUNT, URL])
    assert (workspace.mounted_secrets / "db.user.name").read_bytes() == content
    assert (workspace.mounted_secrets / "broker.url.thermo").read_bytes().startswith(b"amqp://function-thermo:")


def test_no_one_else_can_read_them(workspace: Workspace) -> None:
    workspace.secrets.mkdir(parents=True, mode=0o755)
    write_secret(workspace, REF, content=b"word")
    mount_secrets(workspace, open_vault(workspace), mounts=[MOUNT])
    assert mode_of(workspace.secrets) == mode_of(workspace.mounted_secrets) == 0o700
    assert mode_of(workspace.secrets / str(REF)) == 0o600


def test_a_function_can_read_what_is_mounted(workspace: Workspace) -> None:
    write_secret(workspace, REF, content=b"word")
    mount_secrets(workspace, open_vault(workspace), mounts=[MOUNT])
    assert mode_of(workspace.mounted_secrets / str(REF)) == 0o444


def test_what_is_mounted_no_more_goes(workspace: Workspace) -> None:
    write_secret(workspace, REF, content=b"word")
    vault = open_vault(workspace)
    mount_secrets(workspace, vault, mounts=[MOUNT, URL])
    unmount_secrets(workspace, [URL])
    assert [path.name for path in workspace.mounted_secrets.iterdir()] == ["broker.url.thermo"]


def test_a_secret_is_forgotten(workspace: Workspace) -> None:
    write_secret(workspace, REF, content=b"word")
    delete_secret(workspace, REF)
    delete_secret(workspace, REF)
    assert list(open_vault(workspace).contents) == []


def test_files_of_others_are_no_secrets(workspace: Workspace) -> None:
    workspace.secrets.mkdir(parents=True)
    for name in ("broker.password", ".salt", "db.user~", "README", "UPPER.key"):
        (workspace.secrets / name).write_text("x")
    assert list(open_vault(workspace).contents) == []


def test_the_salt_stays(workspace: Workspace) -> None:
    write_secret(workspace, REF, content=b"word")
    first = open_vault(workspace)
    write_secret(workspace, REF, content=b"other")
    write_secret(workspace, REF, content=b"word")
    assert open_vault(workspace).digest([MOUNT]) == first.digest([MOUNT])
    assert first.salt.get_secret_value()


def test_a_change_is_told(workspace: Workspace) -> None:
    assert write_secret(workspace, REF, content=b"word")
    assert not write_secret(workspace, REF, content=b"word")
    assert write_secret(workspace, REF, content=b"other")


def test_what_cannot_be_read_is_told(workspace: Workspace) -> None:
    workspace.rendered.mkdir()
    workspace.secrets.write_text("no folder")
    with pytest.raises(HostError, match="cannot be read"):
        open_vault(workspace)
