"""Pages of other sites: what an http trigger's attribute `cors` lets them do, and what is refused where it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stack.contract import LOG_LEVEL
from stack.processor.attributes import Attributes
from stack.processor.response import Response, refuse

# Nuclio's defaults.
_METHODS = ("HEAD", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_HEADERS = ("Accept", "Content-Length", "Content-Type", "Authorization", LOG_LEVEL)
_ANY = "*"


@dataclass(frozen=True)
class Cors:
    """What pages of other sites may do; names match whatever their case."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    credentials: bool
    max_age: int | None
    """Seconds for which a browser may keep the answer to a preflight."""

    def admits(self, origin: str) -> bool:
        """Return whether pages of an origin may ask."""
        return _ANY in self.origins or _is_among(origin, self.origins)

    def answer_preflight(self, headers: Mapping[bytes, bytes]) -> Response:
        """Answer a browser's question what its page may ask; header names are in lower case."""
        origin = _text(headers, b"origin")
        method = _text(headers, b"access-control-request-method")
        wanted = [name.strip() for name in _text(headers, b"access-control-request-headers").split(",") if name.strip()]
        is_known = _ANY in self.headers or all(_is_among(name, self.headers) for name in wanted)
        if not origin or not self.admits(origin) or not _is_among(method, (*self.methods, "OPTIONS")) or not is_known:
            return refuse(400, "")
        answer = {
            "Access-Control-Allow-Methods": ", ".join(self.methods),
            "Access-Control-Allow-Headers": ", ".join(self.headers),
        }
        if self.max_age is not None:
            answer["Access-Control-Max-Age"] = str(self.max_age)
        return self.allow(refuse(200, "")._replace(headers=answer), origin)

    def allow(self, response: Response, origin: str) -> Response:
        """Return a response that pages of an origin may read; what the handler itself says of it stays."""
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self.exposed:
            headers["Access-Control-Expose-Headers"] = ", ".join(self.exposed)
        given = tuple(response.headers)
        added = {name: value for name, value in headers.items() if not _is_among(name, given)}
        return response._replace(headers={**response.headers, **added})


def read_cors(attributes: Attributes) -> Cors | None:
    """Read a trigger's attributes; None where it does not say that CORS is enabled."""
    settings = attributes.section("cors")
    if not settings.flag("enabled", False):
        return None
    max_age = settings.raw("preflightMaxAgeSeconds")
    return Cors(
        origins=settings.texts("allowOrigins") or (_ANY,),
        methods=settings.texts("allowMethods") or _METHODS,
        headers=settings.texts("allowHeaders") or _HEADERS,
        exposed=settings.texts("exposeHeaders"),
        credentials=settings.flag("allowCredentials", False),
        max_age=None if max_age in (None, -1) else settings.integer("preflightMaxAgeSeconds", 0),
    )


def _is_among(name: str, names: Sequence[str]) -> bool:
    return name.lower() in [one.lower() for one in names]


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


# What is not sent by another site's page: the site's own page, or no page at all.
_OWN = (b"same-origin", b"none")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_foreign(method: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the page of another site sends a request; header names are in lower case.

    A link that a person follows is no one's page: a GET whose answer the browser shows as a page of its own.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site.strip().lower() not in _OWN and not _is_followed_link(method, headers)
    origin = headers.get(b"origin")
    return origin is not None and not _is_own_origin(origin, headers)


def refuse_page(headers: Mapping[bytes, bytes]) -> Response:
    """Return the answer to a page that may not ask."""
    origin = headers.get(b"origin", b"").decode("latin-1") or "another site"
    return refuse(
        403,
        f"a page of {origin} may not call this function. If it should, the http trigger's attribute `cors` lets it: "
        "{enabled: true, allowOrigins: [" + (origin if "://" in origin else "https://site.example") + "]}",
    )


def _is_followed_link(method: bytes, headers: Mapping[bytes, bytes]) -> bool:
    return (
        method in (b"GET", b"HEAD")
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
        and headers.get(b"sec-fetch-user") == b"?1"
    )


def _is_own_origin(origin: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a page is from where the request goes, as the client or a proxy before this one knows it."""
    scheme, _, site = origin.decode("latin-1").lower().partition("://")
    allowed = (site, f"{site}:{_DEFAULT_PORTS.get(scheme)}") if site else ()
    own = (headers.get(name, b"").decode("latin-1").strip().lower() for name in (b"host", b"x-forwarded-host"))
    return any(host in allowed for host in own)
