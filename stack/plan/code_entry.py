"""Where a function's code comes from, if not from its folder."""

import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote, urlsplit, urlunsplit

from stack.config.build import CodeEntryAttributes
from stack.config.source import Function
from stack.plan.image import digest

# What Python unpacks; .jar is a zip.
ARCHIVES = (".zip", ".jar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_URL = re.compile(r"^https?://", re.IGNORECASE)


class Kind(StrEnum):
    """How code is fetched."""

    LOCAL = "local"
    """A file, a folder or an archive of this machine."""
    FILE = "file"
    """One file of source behind a URL."""
    ARCHIVE = "archive"
    """An archive behind a URL."""
    S3 = "s3"
    """An archive in a bucket."""
    GIT = "git"
    """A repository."""


@dataclass(frozen=True)
class Origin:
    """Where code is, and what is needed to fetch it; `has_root` says that one folder of the archive holds it all."""

    kind: Kind
    address: str
    attributes: CodeEntryAttributes
    reference: str = ""
    has_root: bool = False

    @property
    def digest(self) -> str:
        """Return what tells two origins apart; accounts do not."""
        given = self.attributes
        return digest([self.kind, self.address, self.reference, given.work_dir, given.s3_region])

    @property
    def shown(self) -> str:
        """Return the address for a person: without an account, and without a query, which may hold a token."""
        parts = urlsplit(self.address)
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return f"{address} {self.reference}".strip()

    @property
    def is_one_file(self) -> bool:
        """Return whether that is a file of source, and no archive."""
        is_archive = self.address.lower().endswith(ARCHIVES)
        return self.kind is Kind.FILE or (self.kind is Kind.LOCAL and not is_archive)

    @property
    def file_name(self) -> str:
        """Return the name of the file that the address ends with."""
        return posixpath.basename(urlsplit(self.address).path) or "main.py"


def find_origin(function: Function) -> Origin | None:
    """Return where a function's code is to be fetched from; nothing where it is beside function.yaml, or in it."""
    build = function.config.spec.build
    kind, path, attributes = build.code_entry_type, build.path.strip(), build.code_entry_attributes
    if build.function_source_code or (kind == "image" and function.config.spec.image):
        return None
    if kind == "s3":
        return Origin(Kind.S3, f"s3://{attributes.s3_bucket}/{attributes.s3_item_key}", attributes)
    if kind == "git":
        return Origin(Kind.GIT, path, attributes, reference=_git_reference(attributes))
    if kind == "github":
        address = f"{path.rstrip('/').removesuffix('.git')}/archive/{attributes.branch}.zip"
        return Origin(Kind.ARCHIVE, address, attributes, has_root=True)
    if _URL.match(path):
        is_archive = kind == "archive" or urlsplit(path).path.lower().endswith(ARCHIVES)
        return Origin(Kind.ARCHIVE if is_archive else Kind.FILE, path, attributes)
    return Origin(Kind.LOCAL, path, attributes) if posixpath.normpath(path or ".") != "." else None


def runs_as_is(function: Function) -> bool:
    """Return whether a function is an image that was built elsewhere: one is named, and there is nothing to build."""
    spec = function.config.spec
    if not spec.image:
        return False
    if spec.build.code_entry_type == "image":
        return True
    has_code = bool(spec.build.function_source_code) or find_origin(function) is not None
    return not has_code and all(file.path == "function.yaml" for file in function.files)


def complete_attributes(attributes: CodeEntryAttributes, secrets: Mapping[str, str]) -> CodeEntryAttributes:
    """Let a secret's values stand in for attributes that are not written; a key is an attribute or a header."""
    fields = {info.alias or name: name for name, info in CodeEntryAttributes.model_fields.items()}
    known = {fields[key]: value for key, value in secrets.items() if key in fields}
    missing = {name: value for name, value in known.items() if not getattr(attributes, name)}
    headers = {key: value for key, value in secrets.items() if key not in fields} | attributes.headers
    return attributes.model_copy(update=missing | {"headers": headers})


def _git_reference(attributes: CodeEntryAttributes) -> str:
    if attributes.branch:
        return f"refs/heads/{attributes.branch}"
    return f"refs/tags/{attributes.tag}" if attributes.tag else attributes.reference or "HEAD"


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


def sign_address(item: Item, account: Account, *, now: datetime, seconds: int = 3600) -> str:
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
