"""HTTP requests of the control plane, by urllib3: proxies of the environment, the system's certificates, no retries.

Not by requests, which takes accounts from ~/.netrc and brings certificates of its own.
"""

import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager
from urllib3.exceptions import HTTPError

_MOST_REDIRECTS = 10

Kind = TypeVar("Kind", bound=BaseException)


class StatusError(HTTPError):
    """The server answered, and with an error."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason or HTTPStatus(status).phrase)
        self.status = status


def basic_authorization(username: str, password: str) -> str:
    """Return the value of the header Authorization; letters are UTF-8."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def explain(error: Exception) -> str:
    """Return what went wrong in a few words, without the objects of urllib3 that it went wrong in."""
    cause = error.__cause__ or (error.args[-1] if error.args else error)
    if isinstance(cause, HTTPError):
        return explain(cause)
    return (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__


def find_cause(error: BaseException, kind: type[Kind]) -> Kind | None:
    """Return the error of a kind that one of urllib3 comes from, if it comes from one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__ or next((one for one in cause.args if isinstance(one, BaseException)), None)
    return cause


def open_local_pool() -> PoolManager:
    """Return what sends requests to this machine and to the stack's own network, by way of no proxy."""
    return PoolManager(retries=False)


def open_pool(url: str, context: ssl.SSLContext | None = None) -> PoolManager:
    """Return what sends requests to a URL's host, by way of the proxy that the environment names for it, if any."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return PoolManager(retries=False, ssl_context=context)
    there = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    login = basic_authorization(unquote(there.username), unquote(there.password or "")) if there.username else ""
    headers = {"Proxy-Authorization": login} if login else None
    address = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
    return ProxyManager(address, retries=False, ssl_context=context, proxy_headers=headers)


@contextmanager
def fetch(
    url: str, *, timeout: float, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
) -> Iterator[BaseHTTPResponse]:
    """Open what is behind an http or https URL; read it with `read` or `read1`. `timeout` is for each step, in seconds.

    Headers, which may be credentials, follow a redirect to no other host.

    Raises:
        StatusError: the server answers with an error, or with too many redirects.
        HTTPError: no one answers, or not in HTTP.
        ValueError: the address is none.
    """
    for _ in range(_MOST_REDIRECTS):
        with open_pool(url, context) as pool:
            answer = pool.request("GET", url, headers=headers, timeout=timeout, redirect=False, preload_content=False)
            with answer:
                target = answer.get_redirect_location()
                if not target:
                    if answer.status >= HTTPStatus.BAD_REQUEST:
                        raise StatusError(answer.status, answer.reason or "")
                    yield answer
                    return
        following = urljoin(url, target)
        headers = headers if urlsplit(following)[:2] == urlsplit(url)[:2] else None
        url = following
    raise StatusError(answer.status, "too many redirects")
