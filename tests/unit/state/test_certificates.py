"""Certificates as openssl sees them: who signed them, for what, and when others are made."""

import subprocess
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from stack.errors import HostError
from stack.state import certificates
from stack.state.certificates import Pair, load_authority, load_server, make_device_pair, save_node_pair
from stack.state.workspace import Workspace

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = ("plant.local", "192.168.1.20", "fe80::1")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def verify(tmp_path: Path, authority: Pair, pair: Pair, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "one.pem").write_bytes(pair.certificate_pem)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem"), *options]
    return subprocess.run([*command, str(tmp_path / "one.pem")], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "options", [["-verify_hostname", "plant.local"], ["-verify_ip", "192.168.1.20"], ["-verify_ip", "fe80::1"]]
)
def test_server_is_who_it_says(workspace: Workspace, tmp_path: Path, options: list[str]) -> None:
    server = load_server(workspace, "p", names=NAMES)
    result = verify(tmp_path, load_authority(workspace, "p"), server, "-purpose", "sslserver", *options)
    assert result.returncode == 0, result.stderr
    assert verify(tmp_path, load_authority(workspace, "p"), server, "-verify_hostname", "other.local").returncode


def test_device_is_a_client_and_no_server(workspace: Workspace, tmp_path: Path) -> None:
    device, authority = make_device_pair(workspace, "p", device="pump-7"), load_authority(workspace, "p")
    assert verify(tmp_path, authority, device, "-purpose", "sslclient").returncode == 0
    assert verify(tmp_path, authority, device, "-purpose", "sslserver").returncode
    assert device.certificate.subject.rfc4514_string() == "CN=pump-7"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and device.key_pem in path.read_bytes()]


def test_authority_of_another_stack_is_none(workspace: Workspace, tmp_path: Path) -> None:
    other = load_authority(Workspace(tmp_path / "other"), "p")
    assert verify(tmp_path, other, make_device_pair(workspace, "p", device="pump-7")).returncode


def test_nothing_is_made_twice_without_a_reason(workspace: Workspace) -> None:
    first = load_server(workspace, "p", names=NAMES)
    assert load_server(workspace, "p", names=tuple(reversed(NAMES))).certificate == first.certificate
    assert load_authority(workspace, "p").certificate == load_authority(workspace, "p").certificate
    assert load_server(workspace, "p", names=("plant.local",)).certificate != first.certificate


def test_a_device_ends_no_later_than_its_authority(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_AUTHORITY_DAYS", 30)
    end = load_authority(workspace, "p").certificate.not_valid_after_utc
    assert make_device_pair(workspace, "p", device="pump-7").certificate.not_valid_after_utc <= end
    for path in (workspace.secrets / "tls").iterdir():
        path.unlink()
    monkeypatch.setattr(certificates, "_AUTHORITY_DAYS", 0)
    with pytest.raises(HostError, match="authority has ended"):
        make_device_pair(workspace, "p", device="pump-7")


def test_server_is_renewed_before_it_ends(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_server(workspace, "p", names=NAMES)
    monkeypatch.setattr(certificates, "RENEW_BEFORE", timedelta(days=398))
    assert load_server(workspace, "p", names=NAMES).certificate != first.certificate


def test_server_is_made_again_for_another_authority(workspace: Workspace, tmp_path: Path) -> None:
    load_server(workspace, "p", names=NAMES)
    for path in (workspace.secrets / "tls").glob("authority.*"):
        path.unlink()
    server = load_server(workspace, "p", names=NAMES)
    assert verify(tmp_path, load_authority(workspace, "p"), server).returncode == 0


def test_keys_are_their_owners_alone(workspace: Workspace) -> None:
    load_server(workspace, "p", names=NAMES)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (workspace.secrets / "tls").iterdir()}
    assert modes == {"authority.key": 0o600, "authority.pem": 0o644, "server.key": 0o600, "server.pem": 0o644}


@pytest.mark.parametrize("file", ["authority.key", "authority.pem"])
def test_broken_file_is_told(workspace: Workspace, file: str) -> None:
    load_authority(workspace, "p")
    (workspace.secrets / "tls" / file).write_text("spoiled")
    with pytest.raises(HostError, match="is broken"):
        load_authority(workspace, "p")


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(moment.timestamp(), tz)

    monkeypatch.setattr(certificates, "datetime", Clock)


def test_clock_that_is_not_set_makes_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_server(workspace, "p", names=NAMES)
    set_clock(monkeypatch, EPOCH)
    assert load_server(workspace, "p", names=NAMES).certificate == before.certificate
    with pytest.raises(HostError, match=r"clock says 1970-01-01: .* Set it, such as by `timedatectl set-ntp true`"):
        make_device_pair(workspace, "p", device="pump-7")


def test_authority_that_was_never_good_is_made_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "_CLOCK_BEGINS", EPOCH)
        set_clock(patch, EPOCH)
        before = load_authority(workspace, "p")
        load_server(workspace, "p", names=NAMES)
    assert before.certificate.not_valid_after_utc.year == 1979
    after = load_authority(workspace, "p")
    assert (after.key_pem, load_authority(workspace, "p").certificate) == (before.key_pem, after.certificate)
    assert after.certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3000)
    assert load_server(workspace, "p", names=NAMES).certificate.not_valid_after_utc > datetime.now(UTC)


def test_making_that_was_cut_off_begins_anew(workspace: Workspace) -> None:
    load_authority(workspace, "p")
    (workspace.secrets / "tls" / "authority.pem").unlink()
    assert isinstance(load_authority(workspace, "p").certificate, x509.Certificate)


def test_certificate_of_the_authority_is_made_again_of_its_key(workspace: Workspace) -> None:
    before = load_authority(workspace, "plant")
    device = make_device_pair(workspace, "plant", device="pump-7")
    (workspace.secrets / "tls" / "authority.pem").unlink()
    after = load_authority(workspace, "plant")
    assert after.key_pem == before.key_pem
    device.certificate.verify_directly_issued_by(after.certificate)


def test_nodes_of_a_swarm_are_of_no_authority_of_the_stack(workspace: Workspace, tmp_path: Path) -> None:
    path = save_node_pair(workspace, "plant")
    assert save_node_pair(workspace, "plant") == path
    assert path.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    certificate.verify_directly_issued_by(certificate)
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    device = make_device_pair(workspace, "plant", device="oven").certificate
    with pytest.raises(ValueError, match="subject does not match"):
        device.verify_directly_issued_by(certificate)
