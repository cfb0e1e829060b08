"""Who calls over HTTP: the dashboard and the command line prove themselves by the function's own key.

Tracebacks and logs tell more of a function than those who call it should know. Tidegate's own programs add the time,
in seconds since the epoch, and its HMAC to their calls; what a proof is worth ends after minutes, should a handler
show the headers that it was given to others.
"""

import hashlib
import hmac

HEADER = "X-Tidegate-Caller"
_LABEL = b"caller:"
_SECONDS = 300.0


def prove(key: bytes, now: float) -> str:
    """Return the header's value."""
    time = str(int(now))
    return f"{time}.{_sign(key, time)}"


def is_proof(value: str, key: bytes, now: float) -> bool:
    """Return whether a value was made with a function's key, and lately; without a key none is."""
    time, _, signature = value.partition(".")
    if not key or not time.isascii() or not time.isdigit() or len(time) > 12 or abs(now - int(time)) > _SECONDS:
        return False
    return hmac.compare_digest(signature.encode(errors="replace"), _sign(key, time).encode())


def _sign(key: bytes, time: str) -> str:
    return hmac.digest(key, _LABEL + time.encode(), hashlib.sha256).hex()
