"""Certificates: the stack's own authority, and what it signs for its servers and for devices.

The authority's key is as precious as the stack key: who has it is any device. Keys are of the curve P-256, which the
libraries of small devices have too, and which a handshake costs least of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stack.errors import HostError
from stack.plan.registry import SERVICE as REGISTRY
from stack.state.workspace import Workspace, advise, make_folder, remove_file, write_file

_FOLDER = "tls"
_NODE = "node.pem"
_AUTHORITY, _SERVER = "authority", "server"
_LOST = {_AUTHORITY: ", and devices' certificates, which are of this one, open nothing any more"}
_PRIVATE, _PUBLIC, _PRIVATE_FOLDER = 0o600, 0o644, 0o700
_AUTHORITY_DAYS, DEVICE_DAYS = 3650, 3650
# Apple's systems trust no server's certificate for longer than this, signed by whom it may be.
_SERVER_DAYS = 397
# It is renewed when so much is left of it.
RENEW_BEFORE = timedelta(days=60)
# Tidegate is younger: a clock that says so has not been set, as that of a machine without a battery for it.
_CLOCK_BEGINS = datetime(2025, 1, 1, tzinfo=UTC)
# Clocks of devices differ.
_BEFORE = timedelta(hours=1)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Pair:
    """A key and its certificate."""

    key: Key
    certificate: x509.Certificate

    @property
    def serial(self) -> str:
        """Return the certificate's serial number in hexadecimal."""
        return f"{self.certificate.serial_number:x}"

    @property
    def key_pem(self) -> bytes:
        """Return the key as PEM, without a passphrase."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def certificate_pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def load_authority(workspace: Workspace, project: str) -> Pair:
    """Return the stack's own authority, which is made the first time.

    Where its certificate alone is missing, one of the same key takes its place: what it has signed goes on. So it is
    where a clock that was not set made one that had ended before anything could take it.

    Raises:
        HostError: its files cannot be read, or are broken, or this machine's clock is not set.
    """
    found = _load(workspace, _AUTHORITY)
    if found and not was_never_good(found.certificate):
        return found
    key = _load_key(workspace, _AUTHORITY) or ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Tidegate {project}")
    builder = _begin(name, name, key=key.public_key(), days=_AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _save(workspace, _AUTHORITY, pair=Pair(key, _sign(builder, key)))


def was_never_good(certificate: x509.Certificate) -> bool:
    """Return whether a certificate has ended before there was Tidegate."""
    return certificate.not_valid_after_utc < _CLOCK_BEGINS


def load_server(workspace: Workspace, project: str, *, names: Sequence[str]) -> Pair:
    """Return the servers' certificate for some names and addresses; another is made where it ends soon or has others.

    Raises:
        HostError: its files cannot be read, or are broken.
    """
    found = _load(workspace, _SERVER)
    authority = load_authority(workspace, project)
    if found and _is_good(found.certificate, authority.certificate, names=names):
        return found
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begin(_name(names[0]), authority.certificate.subject, key=key.public_key(), days=_SERVER_DAYS)
    builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_alternative, names))), critical=False)
    builder = _finish(builder, ExtendedKeyUsageOID.SERVER_AUTH)
    return _save(workspace, _SERVER, pair=Pair(key, _sign(builder, authority.key)))


def save_node_pair(workspace: Workspace, project: str) -> Path:
    """Return the file of the key and the certificate by which the nodes of a Swarm and its registry know each other.

    The certificate is its own authority: one of the stack's would let devices in, which have certificates of that.
    """
    path = workspace.secrets / _FOLDER / _NODE
    if not path.exists():
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(f"Tidegate {project} node")
        builder = _begin(name, name, key=key.public_key(), days=_AUTHORITY_DAYS)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(REGISTRY)]), critical=False)
        builder = _finish(builder, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        pair = Pair(key, _sign(builder, key))
        make_folder(workspace.secrets, _PRIVATE_FOLDER)
        make_folder(path.parent, _PRIVATE_FOLDER)
        write_file(path, pair.certificate_pem + pair.key_pem, _PRIVATE)
    return path


def sign_revocations(authority: Pair, revoked: Mapping[str, float]) -> bytes:
    """Return a list of revoked certificates as PEM, given when each was, by its serial number in hexadecimal."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder()
    builder = builder.issuer_name(authority.certificate.subject).last_update(now - _BEFORE)
    builder = builder.next_update(authority.certificate.not_valid_after_utc)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    for serial, since in revoked.items():
        one = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
        builder = builder.add_revoked_certificate(one.revocation_date(datetime.fromtimestamp(since, UTC)).build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def make_device_pair(workspace: Workspace, project: str, *, device: str) -> Pair:
    """Return a new key and certificate for a device, whose common name is its user; the key is kept nowhere.

    Its alternative name is its client id. It ends no later than the authority.

    Raises:
        HostError: the authority's files cannot be read, or are broken, or it has ended.
    """
    authority, key = load_authority(workspace, project), ec.generate_private_key(ec.SECP256R1())
    left = (authority.certificate.not_valid_after_utc - datetime.now(UTC)).days
    if left < 1:
        raise HostError("The stack's own authority has ended. docs/guides/tls.md tells how another takes its place.")
    builder = _begin(_name(device), authority.certificate.subject, key=key.public_key(), days=min(DEVICE_DAYS, left))
    # RabbitMQ compares the client id with it.
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(device)]), critical=False)
    return Pair(key, _sign(_finish(builder, ExtendedKeyUsageOID.CLIENT_AUTH), authority.key))


def _is_good(certificate: x509.Certificate, authority: x509.Certificate, *, names: Sequence[str]) -> bool:
    """Return whether a server's certificate is of the authority, has just these names, and does not end soon."""
    try:
        certificate.verify_directly_issued_by(authority)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_lasting = certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE
    return is_lasting and set(found) == set(map(_alternative, names))


def _begin(
    subject: x509.Name, issuer: x509.Name, *, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    """Begin a certificate that is good from now on.

    Raises:
        HostError: this machine's clock is not set.
    """
    now = datetime.now(UTC)
    if now < _CLOCK_BEGINS:
        advice = "Set it, such as by `timedatectl set-ntp true`, and type this again."
        raise HostError(f"This machine's clock says {now.date()}: a certificate of now would be over already. {advice}")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _finish(builder: x509.CertificateBuilder, *uses: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)


def _sign(builder: x509.CertificateBuilder, by: Key) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    return builder.add_extension(identifier, critical=False).sign(by, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _files(workspace: Workspace, name: str) -> tuple[Path, Path]:
    folder = workspace.secrets / _FOLDER
    return folder / f"{name}.key", folder / f"{name}.pem"


def _load(workspace: Workspace, name: str) -> Pair | None:
    """Return a pair that is kept; a key without a certificate is one that was not made to its end."""
    key_file, certificate_file = _files(workspace, name)
    if not certificate_file.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except OSError as error:
        raise _refuse(certificate_file, error) from error
    except ValueError as error:
        raise HostError(f"{certificate_file} is broken: {error}. {_advise(name)}") from error
    if key := _load_key(workspace, name):
        return Pair(key, certificate)
    raise HostError(f"{key_file} is missing. {_advise(name)}")


def _load_key(workspace: Workspace, name: str) -> ec.EllipticCurvePrivateKey | None:
    key_file, _ = _files(workspace, name)
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refuse(key_file, error) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise HostError(f"{key_file} is broken: {error}. {_advise(name)}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise HostError(f"{key_file} is no key of a curve. {_advise(name)}")
    return key


def _refuse(file: Path, error: OSError) -> HostError:
    return HostError(f"{file} cannot be read: {error.strerror}. {advise(error, file)}")


def _advise(name: str) -> str:
    return f"Take both from a backup, or remove both: `invoke certificates` makes others{_LOST.get(name, '')}."


def _save(workspace: Workspace, name: str, *, pair: Pair) -> Pair:
    key_file, certificate_file = _files(workspace, name)
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    make_folder(key_file.parent, _PRIVATE_FOLDER)
    # In this order: a program that finds a certificate finds its key.
    remove_file(certificate_file)
    write_file(key_file, pair.key_pem, _PRIVATE)
    write_file(certificate_file, pair.certificate_pem, _PUBLIC)
    return pair
