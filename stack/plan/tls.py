"""TLS: what the broker and the gateway mount, and which ciphers they take."""

import hashlib
from dataclasses import dataclass

from cryptography import x509

# The folder that both mount, of copies that they can read; the one around it only its owner can open.
FOLDER, MOUNTED = "/etc/tidegate/tls", "secrets/tls/mounted"
# Where each node of a broker of several keeps which certificates are revoked, beside its data: Swarm's secrets stay as
# they are while it runs.
REVOKED_FOLDER, REVOKED_SUFFIX = "/var/lib/rabbitmq/revoked", ".r0"
# HAProxy finds a key beside its certificate by this name.
CERTIFICATE, KEY, AUTHORITY = "server.pem", "server.pem.key", "authority.pem"
# In the containers: MQTT and AMQP at the broker, HTTP at the gateway; and the broker's MQTT over WebSocket.
MQTTS_PORT, AMQPS_PORT = 8883, 5671
HTTPS_PORT, GATEWAY_HTTPS_PORT, MANAGEMENT_HTTPS_PORT = 8443, 8444, 9443
WEB_MQTT_PORT, WEB_MQTT_PATH = 15675, "/mqtt"
# All have forward secrecy and authenticate what they encrypt; with a key of a curve or of RSA.
CIPHERS = tuple(
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


@dataclass(frozen=True)
class ServerCertificate:
    """What is known of the servers' certificate without reading it: the names in it, and what changes with it."""

    names: tuple[str, ...] = ()
    version: str = ""
    files: tuple[tuple[str, str], ...] = ()
    """The files that servers mount, each with what changes with it."""


def name_revocations(authority: x509.Name) -> str:
    """Return the file in which Erlang and OpenSSL look for what an authority has revoked: a hash of its name.

    The hash is of the name in small letters without blanks around, of one part here, and without its outermost frame.
    """
    (common,) = authority.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    plain = " ".join(str(common.value).split()).lower()
    canonical = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, plain)]).public_bytes()
    # A frame of at most 127 bytes has two before it.
    return f"{hashlib.sha1(canonical[2:], usedforsecurity=False).digest()[3::-1].hex()}{REVOKED_SUFFIX}"
