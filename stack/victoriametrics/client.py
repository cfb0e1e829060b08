"""Queries to the store of readings, and what it deletes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, make_headers
from urllib3.exceptions import HTTPError

from stack.docker.stack import Stack
from stack.errors import ConfigError, DataError
from stack.plan.store import OWN_JOBS, PORT, READINGS, SERVICE, derive_delete_key, quote, store_url
from stack.state.http_client import explain, open_local_pool
from stack.state.workspace import is_inside

_TIMEOUT = 60.0
_NAME = "__name__"
_OK, _BAD_QUERY = (200, 204), (400, 422)
_PIECE = 64 * 1024
# The name of a metric, or a selector of series.
_SELECTOR = re.compile(r'[a-zA-Z_:][\w:]*|([a-zA-Z_:][\w:]*)?\{("(\\.|[^"\\])*"|[^"{}()])*\}')
ANY = READINGS
OWN = f'{{job=~"{OWN_JOBS}.+"}}'
# What VictoriaMetrics puts before an error: who asked, and for what.
_PREFIX = re.compile(r'^remoteAddr: "[^"]*"; requestURI: \S*; ')


@dataclass(frozen=True)
class Series:
    """One series: its labels, and its points in the order of time, which is in seconds since 1970."""

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]

    @property
    def metric(self) -> str:
        """Return what it is called; nothing for what a query has calculated."""
        return self.labels.get(_NAME, "")

    @property
    def own_labels(self) -> dict[str, str]:
        """Return its labels without the name."""
        return {name: value for name, value in sorted(self.labels.items()) if name != _NAME}

    @property
    def title(self) -> str:
        """Return it as PromQL writes it."""
        inner = ", ".join(f"{name}={quote(value)}" for name, value in self.own_labels.items())
        return f"{self.metric}{{{inner}}}" if inner or not self.metric else self.metric


class Store:
    """The store, for Tidegate's own programs."""

    def __init__(self, url: str, delete_key: str = "", *, timeout: float = _TIMEOUT) -> None:
        parts = urlsplit(url)
        self._url = f"http://{parts.hostname}:{parts.port}"
        self._delete_key = delete_key
        self._timeout = timeout
        headers = make_headers(basic_auth=f"{parts.username}:{parts.password}")
        self._pool, self._headers = open_local_pool(), headers

    def list_metrics(self) -> list[str]:
        """Return the names of all metrics, without the stack's own and those of alerts."""
        return [str(name) for name in self._ask("/api/v1/label/__name__/values", {"match[]": ANY})["data"]]

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        """Return what a query in PromQL comes to at a time, now if none is given: series of one point each.

        Raises:
            DataError: the store does not answer, or cannot read the query.
        """
        fields = {"query": text, **({} if at is None else {"time": f"{at:.3f}"})}
        found = self._ask("/api/v1/query", fields)["data"]["result"]
        return [_read_series(one["metric"], [one["value"]]) for one in found]

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        """Return what a query comes to at each step of a time, all in seconds.

        The store may move many steps to round times, so that it has less to calculate.

        Raises:
            DataError: the store does not answer, or cannot read the query.
        """
        return self._ask_range({"query": text}, start, end=end, step=step)

    def query_steps(self, text: str, start: float, end: float, step: float) -> list[Series]:
        """Return likewise what a query comes to at just these steps."""
        return self._ask_range({"query": text, "nocache": "1"}, start, end=end, step=step)

    def _ask_range(self, fields: Mapping[str, str], start: float, *, end: float, step: float) -> list[Series]:
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.15g}s"}
        found = self._ask("/api/v1/query_range", {**fields, **span})["data"]["result"]
        return [_read_series(one["metric"], one["values"]) for one in found]

    def export(self, match: str, start: float, end: float) -> Iterator[Series]:
        """Yield the stored points of series, as they are; of a long series several times some of them.

        Raises:
            DataError: the store does not answer, or cannot read the selector.
        """
        fields = {"match[]": match, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        with self._open("/api/v1/export", fields) as answer:
            for line in _read_lines(answer):
                found = json.loads(line)
                times = [moment / 1000 for moment in found["timestamps"]]
                yield Series(found["metric"], times, found["values"])

    def delete(self, match: str) -> None:
        """Delete series, of all time.

        Raises:
            DataError: the store does not answer, or cannot read the selector.
        """
        fields = {"match[]": match, "authKey": self._delete_key}
        with self._open("/api/v1/admin/tsdb/delete_series", fields):
            pass

    def fetch_metrics(self) -> str:
        """Return what it tells of itself, in Prometheus' text format.

        Raises:
            DataError: the store does not answer.
        """
        with self._open("/metrics", {}) as answer:
            return answer.read().decode()

    def _ask(self, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
        with self._open(path, fields) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    @contextmanager
    def _open(self, path: str, fields: Mapping[str, str]) -> Iterator[BaseHTTPResponse]:
        try:
            answer = self._pool.request(
                "POST",
                self._url + path,
                fields=dict(fields),
                encode_multipart=False,
                headers=self._headers,
                timeout=self._timeout,
                preload_content=False,
            )
            with answer:
                if answer.status not in _OK:
                    raise DataError(_explain_refusal(answer.status, answer.read(_PIECE)))
                yield answer
        except HTTPError as error:
            raise DataError(
                f"The store of readings ({SERVICE}) does not answer: {explain(error)}. `invoke status` says how it is; "
                "`invoke up` starts it."
            ) from error


def find_store(stack: Stack, *, timeout: float = _TIMEOUT) -> Store:
    """Return the stack's store, as this program reaches it; an answer may take so many seconds.

    Raises:
        ConfigError: the stack has none.
    """
    if not stack.settings.has_store:
        way = 'data: {keep: [{topic: "#"}]} keeps every number of every topic'
        raise ConfigError([f"stack.yaml: data.keep: names no readings, so that none are kept; {way}."])
    key, settings = stack.vault.key, stack.settings
    host, port = (SERVICE, PORT) if is_inside() else (settings.host, settings.ports.data)
    return Store(store_url(key, host, port), derive_delete_key(key), timeout=timeout)


def write_selector(metric: str, labels: Mapping[str, str]) -> str:
    """Return the selector of series, as PromQL writes it; an empty metric is any."""
    pairs = {**({_NAME: metric} if metric else {}), **labels}
    matchers = ",".join(f"{name}={quote(value)}" for name, value in pairs.items())
    return f"{{{matchers}}}" if pairs else ANY


def join_selectors(selectors: Sequence[str]) -> str:
    """Return the selector of the series of several, each as `write_selector` writes it."""
    return f"{{{' or '.join(one[1:-1] for one in selectors)}}}"


def is_selector(text: str) -> bool:
    """Return whether a query names stored series, and calculates nothing."""
    return bool(_SELECTOR.fullmatch(text))


def _read_series(labels: Mapping[str, str], points: Sequence[Sequence[Any]]) -> Series:
    return Series(labels, [float(moment) for moment, _ in points], [float(value) for _, value in points])


def _read_lines(answer: BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _explain_refusal(status: int, body: bytes) -> str:
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        reason = body[:500].decode(errors="replace").strip()
    what = "cannot read that" if status in _BAD_QUERY else f"answers with status {status}"
    return f"The store of readings {what}: {_PREFIX.sub('', reason)}"
