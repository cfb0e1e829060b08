"""Addresses of objects in S3, signed for a while: version 4 of Amazon's signature, in the query.

The one request that is needed does not earn a library of tens of megabytes. The steps are those of "Authenticating
Requests: Using Query Parameters" in Amazon's S3 reference, whose example is a test.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Account:
    """Who asks; without a key the object has to be open to all."""

    key: str = ""
    secret: str = ""
    token: str = ""


@dataclass(frozen=True)
class Item:
    """An object in a bucket. `endpoint` is the address of a store that speaks S3 and is not Amazon's."""

    bucket: str
    key: str
    region: str = ""
    endpoint: str = ""

    @property
    def address(self) -> str:
        """Return where the object is, unsigned."""
        path = quote(self.key)
        if self.endpoint:
            return f"{self.endpoint.rstrip('/')}/{self.bucket}/{path}"
        region = f".{self.region}" if self.region else ""
        return f"https://{self.bucket}.s3{region}.amazonaws.com/{path}"


def sign_address(item: Item, account: Account, now: datetime, *, seconds: int = 3600) -> str:
    """Return an address that gives the object away for some time; `now` is in UTC."""
    if not account.key:
        return item.address
    parts = urlsplit(item.address)
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{item.region or _DEFAULT_REGION}/{_SERVICE}/aws4_request"
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{account.key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(seconds),
        **({"X-Amz-Security-Token": account.token} if account.token else {}),
        "X-Amz-SignedHeaders": "host",
    }
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    request = f"GET\n{parts.path}\n{text}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    message = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{account.secret}".encode()
    for part in scope.split("/"):
        key = _sign(key, part)
    return f"{item.address}?{text}&X-Amz-Signature={_sign(key, message).hex()}"


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
