"""Requests that a page of another site has a browser send.

A browser on this machine, or in this network, sends what any page that it shows asks for, to addresses that the page's
own site cannot reach. It says so (Sec-Fetch-Site, of the W3C's Fetch Metadata); to an address that is neither
encrypted nor this machine's own it says only where the page is from (Origin). Programs say neither.
"""

from collections.abc import Mapping

from stack.processor.response import Response, refuse

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
