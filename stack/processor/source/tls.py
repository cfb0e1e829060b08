"""TLS to a broker: whom to trust, and who this is."""

import ssl
import tempfile
from pathlib import Path

from stack.processor.attributes import Attributes, ConfigurationError

# What a certificate or key in PEM begins with; anything else is the path of a file.
_PEM = "-----BEGIN"


def open_tls(attributes: Attributes) -> ssl.SSLContext:
    """Return the context for a trigger's connection; the broker's certificate and name are always checked.

    The system's authorities are trusted, or those of the attribute `caCert` alone; `clientCertificate` and `clientKey`
    are shown to the broker. Each is PEM, or the path of a file in PEM.

    Raises:
        ConfigurationError: one of them cannot be read, or is not in PEM.
    """
    authority = attributes.text("caCert")
    is_inline = _is_pem(authority)
    try:
        context = ssl.create_default_context(
            cafile=authority if authority and not is_inline else None, cadata=authority if is_inline else None
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{attributes.path}.caCert: {error}") from None
    if attributes.text("clientCertificate"):
        _load_identity(context, attributes)
    return context


def _load_identity(context: ssl.SSLContext, attributes: Attributes) -> None:
    certificate, key = attributes.text("clientCertificate"), attributes.text("clientKey")
    try:
        if _is_pem(certificate) or _is_pem(key):
            _load_inline(context, _read(certificate), _read(key))
        else:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{attributes.path}.clientCertificate and clientKey: {error}") from None


def _load_inline(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load both from a file that only this user can read, since OpenSSL takes them from nowhere else."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate.strip()}\n{key.strip()}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _read(text: str) -> str:
    if _is_pem(text) or not text:
        return text
    return Path(text).read_text()


def _is_pem(text: str) -> bool:
    return text.lstrip().startswith(_PEM)
