"""The servers' certificate as it is kept: made, renewed, or taken from files of the user's; and what is revoked."""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stack.config.network import check_server_name
from stack.config.settings import FILE, Settings
from stack.errors import ConfigError
from stack.plan.image import digest
from stack.plan.tls import AUTHORITY, CERTIFICATE, KEY, MOUNTED, ServerCertificate, name_revocations
from stack.plan.trouble import Trouble
from stack.state.certificates import (
    DEVICE_DAYS,
    RENEW_BEFORE,
    load_authority,
    load_server,
    sign_revocations,
    was_never_good,
)
from stack.state.workspace import Workspace, make_folder, parse_json, write_file

_SERVED, _REVOKED = "served.json", "revoked.json"
_PRIVATE, _PRIVATE_FOLDER, _READABLE, _FOLDER = 0o600, 0o700, 0o444, 0o755
# A certificate of the user's own, which they renew themselves, is told of when so much is left of it.
_SOON = timedelta(days=14)
_DEVICE_SECONDS = timedelta(days=DEVICE_DAYS).total_seconds()
# OpenSSL, as Debian sets it, refuses shorter keys.
_RSA_BITS = 2048
_LOCAL_NAMES = ("localhost", "127.0.0.1")
# Interfaces of Docker's own, at whose addresses no other machine finds this one.
_BRIDGES = ("docker", "br-", "veth", "lo")


@dataclass(frozen=True)
class Served:
    """What the servers have: the names in their certificate, its end in seconds since 1970, and a digest of it."""

    names: tuple[str, ...]
    ends: float
    version: str

    @property
    def end(self) -> datetime:
        """Return when the certificate ends."""
        return datetime.fromtimestamp(self.ends, UTC)

    def find_trouble(self, file: str) -> Trouble | None:
        """Return that the certificate in a file of the user's own has ended, or ends within two weeks."""
        left = self.end - datetime.now(UTC)
        if left > _SOON:
            return None
        verb, level = ("ends", "warn") if left > timedelta() else ("has ended", "error")
        return Trouble(file, f"{verb} on {self.end.date()}.", "Renew it, then type `invoke up`.", level)


def authority_path(workspace: Workspace) -> Path:
    """Return the certificate of the authority that devices and browsers are to trust."""
    return workspace.rendered / MOUNTED / AUTHORITY


def find_authority_end(workspace: Workspace) -> datetime:
    """Return when the authority ends, after `make_tls`."""
    return read_certificate(authority_path(workspace).read_bytes()).not_valid_after_utc


def has_bad_authority(workspace: Workspace) -> bool:
    """Return whether the authority that devices and browsers know was never good, so that `make_tls` makes another."""
    path = authority_path(workspace)
    return path.exists() and was_never_good(read_certificate(path.read_bytes()))


def load_served(workspace: Workspace) -> Served | None:
    """Return what the servers have; nothing where no certificate was made yet."""
    try:
        return parse_json(Served, (_folder(workspace) / _SERVED).read_bytes())
    except (OSError, ValueError):
        return None


def load_server_certificate(workspace: Workspace) -> ServerCertificate:
    """Return what the rendered files depend on."""
    served = load_served(workspace)
    if not served:
        return ServerCertificate()
    # Of a workspace that was just restored `up` has yet to make the folder.
    paths = sorted((workspace.rendered / MOUNTED).glob("*"))
    files = ((one.name, digest([one.read_bytes()])) for one in paths if one.is_file())
    return ServerCertificate(served.names, served.version, tuple(files))


def find_addresses() -> list[str]:
    """Return the addresses at which other machines find this one."""
    return sorted(
        one.address
        for interface, addresses in psutil.net_if_addrs().items()
        if not interface.startswith(_BRIDGES)
        for one in addresses
        if one.family.name == "AF_INET"
    )


def find_server_names(settings: Settings, own: Iterable[str]) -> list[str]:
    """Return the names and addresses by which this machine is called, those of stack.yaml first."""
    fit = (one.lower() for one in own if _is_name(one))
    return list(dict.fromkeys((*settings.tls.names, *fit, *find_addresses(), *_LOCAL_NAMES)))


def _is_name(text: str) -> bool:
    """Return whether a certificate can have a name, which a machine's own need not be fit for."""
    try:
        check_server_name(text)
    except ValueError:
        return False
    return True


def make_tls(workspace: Workspace, settings: Settings, *, names: Iterable[str]) -> Served:
    """Have the servers' certificate, for these names at least, where the broker and the gateway read it.

    Another is made where a name is missing in it, or it ends soon. Servers that run take it without a restart.

    Raises:
        ConfigError: files of the user's own are wrong.
        HostError: a file cannot be read or written.
    """
    wanted, served = list(names), load_served(workspace)
    if not _has_authority(workspace, settings.project):
        _write_authority(workspace, settings.project)
        served = None
    if settings.tls.certificate:
        certificate, key = _read_own(workspace.root, settings)
    elif served and _is_enough(workspace, served, names=wanted):
        return served
    else:
        pair = load_server(workspace, settings.project, names=wanted)
        certificate, key = pair.certificate_pem, pair.key_pem
    if not _is_written(workspace, certificate):
        _write_pair(workspace, certificate, key=key)
    return _note(workspace, certificate)


def needs_renewal(workspace: Workspace, settings: Settings) -> bool:
    """Return whether the certificate that the servers have ends soon, and is not the user's own."""
    served = load_served(workspace)
    return settings.tls.is_on and not settings.tls.certificate and served is not None and not _is_lasting(served)


def revoke_certificates(workspace: Workspace, project: str, *, serials: Iterable[str]) -> None:
    """Have the broker refuse certificates of devices, given as hexadecimal numbers, from the next connection on."""
    if not (new := [one for one in serials if one]):
        return
    now = time.time()
    # The broker reads all of the list with each handshake; one that was revoked so long ago has ended by itself.
    lasting = {serial: since for serial, since in load_revoked(workspace).items() if since > now - _DEVICE_SECONDS}
    revoked = lasting | dict.fromkeys(new, round(now))
    make_folder(_folder(workspace), _PRIVATE_FOLDER)
    write_file(_folder(workspace) / _REVOKED, json.dumps(revoked).encode(), _PRIVATE)
    _write_authority(workspace, project)


def load_revoked(workspace: Workspace) -> dict[str, int]:
    """Return when certificates were revoked, in seconds since 1970, by serial number."""
    path = _folder(workspace) / _REVOKED
    return parse_json(dict[str, int], path.read_bytes()) if path.exists() else {}


def read_certificate(content: bytes) -> x509.Certificate:
    """Return the first certificate of a file.

    Raises:
        ValueError: there is none.
    """
    return x509.load_pem_x509_certificates(content)[0]


def find_missing_issuer(workspace: Workspace) -> str:
    """Return who has signed the servers' certificate, if that one's own certificate is not in the file; else nothing.

    Most clients know authorities alone, and those between only by the file.
    """
    first, *others = x509.load_pem_x509_certificates((workspace.rendered / MOUNTED / CERTIFICATE).read_bytes())
    is_known = any(one.subject == first.issuer for one in (first, *others))
    return "" if is_known else first.issuer.rfc4514_string()


def _is_enough(workspace: Workspace, served: Served, *, names: Iterable[str]) -> bool:
    are_there = all((workspace.rendered / MOUNTED / one).exists() for one in (CERTIFICATE, KEY))
    return are_there and _is_lasting(served) and set(names) <= set(served.names)


def _is_lasting(served: Served) -> bool:
    return served.end - datetime.now(UTC) > RENEW_BEFORE


def _read_own(root: Path, settings: Settings) -> tuple[bytes, bytes]:
    """Read a certificate of the user's own, and its key."""
    contents = []
    for name in ("certificate", "key"):
        path = root / Path(getattr(settings.tls, name)).expanduser()
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            raise ConfigError([f"{FILE}: tls.{name}: {path} cannot be read: {error.strerror}."]) from error
    _check_own(*contents)
    return _write_again(*contents)


def _write_again(certificate: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return both in a form that all servers read: Erlang does not take what begins with a mark of byte order."""
    form = serialization.Encoding.PEM
    found = x509.load_pem_x509_certificates(certificate)
    private = serialization.load_pem_private_key(key, None)
    content = private.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return b"".join(one.public_bytes(form) for one in found), content


def _check_own(certificate: bytes, key: bytes) -> None:
    try:
        found = read_certificate(certificate)
    except ValueError as error:
        hint = "; it is a private key, which tls.key names" if b"PRIVATE KEY" in certificate else ""
        raise ConfigError([f"{FILE}: tls.certificate: is no certificate in PEM{hint}."]) from error
    try:
        public = serialization.load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = "; it is a certificate, which tls.certificate names" if b"BEGIN CERTIFICATE" in key else ""
        raise ConfigError([f"{FILE}: tls.key: is no key in PEM without a passphrase{hint}."]) from error
    if public != found.public_key():
        advice = "name two files that belong together, and let the servers' certificate be the first in its file"
        raise ConfigError([f"{FILE}: tls.key: is not the key of tls.certificate; {advice}."])
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _RSA_BITS:
        problem = f"is an RSA key of {public.key_size} bits, which servers and browsers refuse"
        raise ConfigError([f"{FILE}: tls.key: {problem}; make one of {_RSA_BITS} bits, or of the curve P-256."])
    if not _list_names(found):
        problem = "has no names (subjectAltName), and a common name alone no client takes"
        raise ConfigError([f"{FILE}: tls.certificate: it {problem}; have another one signed."])
    _check_time(found)


def _check_time(found: x509.Certificate) -> None:
    now, begins = datetime.now(UTC), found.not_valid_before_utc
    if found.not_valid_after_utc < now:
        ended = found.not_valid_after_utc.date()
        raise ConfigError([f"{FILE}: tls.certificate: it has ended on {ended}; renew it, then type this again."])
    if begins > now:
        advice = "look at this machine's clock, or wait until then"
        raise ConfigError([f"{FILE}: tls.certificate: it is good from {begins:%Y-%m-%d %H:%M} UTC on; {advice}."])


def _is_written(workspace: Workspace, certificate: bytes) -> bool:
    folder = workspace.rendered / MOUNTED
    try:
        return (folder / CERTIFICATE).read_bytes() == certificate and (folder / KEY).exists()
    except OSError:
        return False


def _has_authority(workspace: Workspace, project: str) -> bool:
    """Return whether the servers have the authority that is kept, which another replaces when its files are gone."""
    authority = load_authority(workspace, project)
    try:
        return authority_path(workspace).read_bytes() == authority.certificate_pem
    except FileNotFoundError:
        return False


def _write_pair(workspace: Workspace, certificate: bytes, *, key: bytes) -> None:
    folder = workspace.rendered / MOUNTED
    # The broker that reads them in between finds a pair that does not fit, and reads again within two minutes.
    write_file(folder / KEY, key, _READABLE)
    write_file(folder / CERTIFICATE, certificate, _READABLE)


def _write_authority(workspace: Workspace, project: str) -> None:
    """Write whom the broker believes about devices, and which certificates it does not any more."""
    authority, folder = load_authority(workspace, project), workspace.rendered / MOUNTED
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    make_folder(folder, _FOLDER)
    revocations = sign_revocations(authority, load_revoked(workspace))
    write_file(folder / name_revocations(authority.certificate.subject), revocations, _READABLE)
    write_file(folder / AUTHORITY, authority.certificate_pem, _READABLE)


def _note(workspace: Workspace, certificate: bytes) -> Served:
    found = read_certificate(certificate)
    version = hashlib.sha256(certificate).hexdigest()[:16]
    served = Served(_list_names(found), found.not_valid_after_utc.timestamp(), version)
    write_file(_folder(workspace) / _SERVED, json.dumps(asdict(served)).encode(), _PRIVATE)
    return served


def _list_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress)))


def _folder(workspace: Workspace) -> Path:
    return workspace.secrets / "tls"
