"""The servers' certificate as it is kept for them: when another is made, and what devices lose theirs by."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stack.config.network import Tls, check_server_name
from stack.config.settings import Settings
from stack.errors import ConfigError, HostError
from stack.plan.tls import CERTIFICATE, KEY, MOUNTED, name_revocations
from stack.state.certificates import Pair, load_authority, load_server, make_device_pair
from stack.state.tls import (
    authority_path,
    find_missing_issuer,
    find_server_names,
    load_revoked,
    load_served,
    load_server_certificate,
    make_tls,
    needs_renewal,
    read_certificate,
    revoke_certificates,
)
from stack.state.workspace import Workspace

SETTINGS = Settings(tls=Tls(enabled=True))
NAMES = ["plant.local", "192.168.1.20"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def served_files(workspace: Workspace) -> list[bytes]:
    return [(workspace.rendered / MOUNTED / name).read_bytes() for name in (CERTIFICATE, KEY)]


def test_what_a_certificate_cannot_have_is_no_name_of_this_machine() -> None:
    names = find_server_names(SETTINGS, ["Plant.local", "küche", "fe80::1%eth0", "-x", "fe80::1"])
    assert names[:2] == ["plant.local", "fe80::1"]


@pytest.mark.parametrize("name", ["fe80::1%eth0", "küche", "a b", "a..b", "-a"])
def test_what_is_no_name_of_a_server_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="should be a name such as"):
        check_server_name(name)


def test_an_address_with_colons_has_brackets_in_a_link() -> None:
    settings = Settings(bind="0.0.0.0", tls=Tls(names=("fe80::1",)))
    assert settings.dashboard_url == "https://[fe80::1]:8443"


def test_another_is_made_for_a_new_name_alone(workspace: Workspace) -> None:
    first = make_tls(workspace, SETTINGS, names=NAMES)
    assert first.names == tuple(NAMES)
    assert make_tls(workspace, SETTINGS, names=NAMES[:1]) == first == load_served(workspace)
    other = make_tls(workspace, SETTINGS, names=[*NAMES, "other.local"])
    assert other.version != first.version
    assert "other.local" in other.names
    certificate, key = served_files(workspace)
    assert certificate.startswith(b"-----BEGIN CERT")
    assert key.startswith(b"-----BEGIN PRIVATE")
    (workspace.rendered / MOUNTED / KEY).unlink()
    make_tls(workspace, SETTINGS, names=NAMES)
    assert len(served_files(workspace)) == 2
    # The folder around is its owner's alone.
    assert workspace.secrets.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("settings", [SETTINGS, Settings(tls=Tls(certificate="own.pem", key="own.key"))])
def test_another_authority_comes_with_all_that_is_of_it(workspace: Workspace, settings: Settings) -> None:
    pair = load_server(Workspace(workspace.root / "elsewhere"), "other", names=NAMES)
    (workspace.root / "own.pem").write_bytes(pair.certificate_pem)
    (workspace.root / "own.key").write_bytes(pair.key_pem)
    make_tls(workspace, settings, names=NAMES)
    first = authority_path(workspace).read_bytes()
    (workspace.secrets / "tls" / "authority.key").unlink()
    with pytest.raises(HostError, match=r"authority\.key is missing. .* remove both: .* devices' certificates"):
        make_tls(workspace, settings, names=NAMES)
    (workspace.secrets / "tls" / "authority.pem").unlink()
    make_tls(workspace, settings, names=NAMES)
    authority = load_authority(workspace, settings.project).certificate
    assert authority_path(workspace).read_bytes() != first
    assert read_certificate(authority_path(workspace).read_bytes()) == authority
    served = read_certificate(served_files(workspace)[0])
    if settings.tls.certificate:
        assert served == pair.certificate
    else:
        served.verify_directly_issued_by(authority)


def test_it_is_renewed_with_its_names_before_it_ends(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not needs_renewal(workspace, SETTINGS)
    first = make_tls(workspace, SETTINGS, names=NAMES)
    assert not needs_renewal(workspace, SETTINGS)
    later = first.end - datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("stack.state.tls.RENEW_BEFORE", later)
    monkeypatch.setattr("stack.state.certificates.RENEW_BEFORE", later)
    assert needs_renewal(workspace, SETTINGS)
    assert not needs_renewal(workspace, Settings())
    assert make_tls(workspace, SETTINGS, names=first.names).version != first.version


def test_one_of_the_users_own_is_taken_again_when_it_changes(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = Workspace(tmp_path / "elsewhere")
    own = Settings(tls=Tls(certificate="own.pem", key="own.key"))
    versions = set()
    for names in (["a.example"], ["b.example"]):
        pair = load_server(elsewhere, "other", names=names)
        (tmp_path / "own.pem").write_bytes(pair.certificate_pem)
        (tmp_path / "own.key").write_bytes(pair.key_pem)
        served = make_tls(workspace, own, names=NAMES)
        assert served.names == tuple(names)
        assert served_files(workspace) == [pair.certificate_pem, pair.key_pem]
        versions.add(served.version)
    assert len(versions) == 2
    # Devices' certificates are of the stack's own authority all the same.
    assert authority_path(workspace).read_bytes() == load_authority(workspace, own.project).certificate_pem


def test_own_files_are_given_to_servers_as_all_of_them_read_them(workspace: Workspace, tmp_path: Path) -> None:
    """Erlang finds no certificate in a file that begins with a mark of byte order."""
    own, elsewhere = Settings(tls=Tls(certificate="own.pem", key="own.key")), Workspace(tmp_path / "elsewhere")
    pair, issuer = load_server(elsewhere, "other", names=NAMES), load_authority(elsewhere, "other").certificate_pem
    (tmp_path / "own.pem").write_bytes(b"\xef\xbb\xbf" + pair.certificate_pem.replace(b"\n", b"\r\n") + issuer)
    (tmp_path / "own.key").write_bytes(b"\xef\xbb\xbf" + pair.key_pem)
    make_tls(workspace, own, names=NAMES)
    assert served_files(workspace) == [pair.certificate_pem + issuer, pair.key_pem]


def test_own_files_that_are_wrong_are_told(workspace: Workspace, tmp_path: Path) -> None:
    own = Settings(tls=Tls(certificate="own.pem", key="own.key"))
    pair, other = load_server(workspace, "p", names=NAMES), load_server(Workspace(tmp_path / "other"), "p", names=NAMES)
    nameless = load_authority(workspace, "p")
    wrong = {
        "tls.certificate: .*own.pem cannot be read": None,
        "tls.certificate: is no certificate in PEM.": (b"x", pair.key_pem),
        "tls.certificate: is no certificate in PEM; it is a private key": (pair.key_pem, pair.certificate_pem),
        "tls.key: is no key in PEM without a passphrase.": (pair.certificate_pem, b"x"),
        "tls.key: is no key in PEM without a passphrase; it is a certificate": (pair.certificate_pem,) * 2,
        "tls.key: is not the key of tls.certificate": (pair.certificate_pem, other.key_pem),
        "tls.certificate: it has no names": (nameless.certificate_pem, nameless.key_pem),
    }
    for message, contents in wrong.items():
        for name, content in zip(("own.pem", "own.key"), contents or (), strict=False):
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            make_tls(workspace, own, names=NAMES)


def write_own(folder: Path, pair: Pair) -> None:
    (folder / "own.pem").write_bytes(pair.certificate_pem)
    (folder / "own.key").write_bytes(pair.key_pem)


def test_own_keys_and_times_that_servers_refuse_are_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Settings(tls=Tls(certificate="own.pem", key="own.key"))
    pair = load_server(workspace, "p", names=NAMES)
    weak = rsa.generate_private_key(65537, 1024)
    builder = x509.CertificateBuilder(pair.certificate.subject, pair.certificate.issuer, weak.public_key(), 1)
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2090, 1, 1))
    (workspace.root / "own.pem").write_bytes(builder.sign(weak, SHA256()).public_bytes(Encoding.PEM))
    key = weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (workspace.root / "own.key").write_bytes(key)
    with pytest.raises(ConfigError, match="RSA key of 1024 bits, which servers and browsers refuse; make one of 2048"):
        make_tls(workspace, own, names=NAMES)
    monkeypatch.setattr("stack.state.certificates._BEFORE", timedelta(days=-1))
    write_own(workspace.root, load_server(workspace, "p", names=["late.local"]))
    with pytest.raises(ConfigError, match=r"it is good from .* UTC on; look at this machine's clock"):
        make_tls(workspace, own, names=NAMES)


def test_an_issuer_that_is_not_in_the_file_is_found(workspace: Workspace) -> None:
    own = Settings(tls=Tls(certificate="own.pem", key="own.key"))
    elsewhere = Workspace(workspace.root / "elsewhere")
    pair, authority = load_server(elsewhere, "other", names=NAMES), load_authority(elsewhere, "other")
    write_own(workspace.root, pair)
    make_tls(workspace, own, names=NAMES)
    assert find_missing_issuer(workspace) == "CN=Tidegate other"
    (workspace.root / "own.pem").write_bytes(pair.certificate_pem + authority.certificate_pem)
    make_tls(workspace, own, names=NAMES)
    assert find_missing_issuer(workspace) == ""


def test_what_is_restored_has_no_files_for_servers_yet(workspace: Workspace) -> None:
    made = make_tls(workspace, SETTINGS, names=NAMES)
    shutil.rmtree(workspace.rendered / MOUNTED)
    found = load_server_certificate(workspace)
    assert (found.names, found.version, found.files) == (made.names, made.version, ())
    assert make_tls(workspace, SETTINGS, names=NAMES) == made
    assert load_server_certificate(workspace).files


def test_what_has_ended_by_itself_leaves_the_list(workspace: Workspace) -> None:
    make_tls(workspace, SETTINGS, names=NAMES)
    now = datetime.now(UTC).timestamp()
    path, days = workspace.secrets / "tls" / "revoked.json", 24 * 60 * 60
    path.write_text(json.dumps({"a1": round(now - 3651 * days), "a2": round(now - 3649 * days)}))
    revoke_certificates(workspace, SETTINGS.project, serials=["a3"])
    assert list(load_revoked(workspace)) == ["a2", "a3"]


def test_openssl_finds_what_was_revoked(workspace: Workspace, tmp_path: Path) -> None:
    """By the name of the file too, which is a hash that OpenSSL and Erlang look for."""
    make_tls(workspace, SETTINGS, names=NAMES)
    authority = load_authority(workspace, SETTINGS.project)
    asked = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(authority_path(workspace))]
    name = f"{subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()}.r0"
    assert name == name_revocations(authority.certificate.subject)
    kept, lost = (make_device_pair(workspace, SETTINGS.project, device=one) for one in ("pump-7", "pump-8"))
    revoke_certificates(workspace, SETTINGS.project, serials=["", lost.serial])
    for pair, is_good in ((kept, True), (lost, False)):
        (tmp_path / "one.pem").write_bytes(pair.certificate_pem)
        command = ["openssl", "verify", "-CAfile", str(authority_path(workspace)), "-crl_check"]
        command += ["-CRLfile", str(workspace.rendered / MOUNTED / name), str(tmp_path / "one.pem")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode == 0) is is_good, result.stderr
