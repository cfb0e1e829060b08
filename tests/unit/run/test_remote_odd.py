"""Servers that are asked for a dashboard and are none, or whose certificate no one vouches for."""

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from stack.errors import HostError
from stack.run.remote import AwayError, open_dashboard
from stack.run.remote_function import deploy_at
from stack.state.certificates import load_authority, load_server
from stack.state.workspace import Workspace

DOCUMENT = {"metadata": {"name": "reader"}, "spec": {}}


@contextmanager
def serve(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer each request so, whatever it asks for; yield the server's host and port."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            try:
                line = context.wrap_socket(self.request, server_side=True) if context else self.request
                line.recv(65536)
                line.sendall(answer)
            except OSError:
                pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def say(body: bytes, *headers: str) -> bytes:
    """Return an answer of HTTP."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (say(b"[]"), "it answers [] to projects"),
        (say(b"null"), "it answers null to projects"),
        (say(b""), "it answers null to projects"),
        (say(b"[" * 100_000), "its answer is no JSON"),
        (say(b"no gzip", "Content-Encoding: gzip"), "its answer is no HTTP: Error -3 while decompressing"),
        (say(b"{}", *(f"X-{number}: 1" for number in range(200))), "its answer is no HTTP: got more than 100 headers"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "its answer is no HTTP: SSH-2.0-OpenSSH_9.9"),
    ],
)
def test_server_that_is_no_dashboard_is_told_at_once(answer: bytes, told: str) -> None:
    with serve(answer) as address, pytest.raises(HostError, match=re.escape(told)) as caught:
        deploy_at(open_dashboard(address), DOCUMENT, lambda _: None)
    assert f"http://{address} is no dashboard of Nuclio's kind" in str(caught.value)
    assert not isinstance(caught.value, AwayError)


@pytest.mark.parametrize("answer", [b"", say(b"{}").replace(b"Length: 2", b"Length: 9")])
def test_answer_that_is_cut_is_none(answer: bytes) -> None:
    with serve(answer) as address, pytest.raises(AwayError, match="does not answer"):
        open_dashboard(address).fetch_mapping("projects")


@pytest.mark.parametrize(
    ("name", "is_trusted", "told"),
    [
        (
            "127.0.0.1",
            False,
            "Name the file of its authority, .stack/secrets/tls/mounted/authority.pem there, in SSL_CERT",
        ),
        ("elsewhere", True, "There, `invoke certificates` makes another, and `--name` has more names in it."),
    ],
)
def test_certificate_that_is_not_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_trusted: bool, told: str
) -> None:
    workspace = Workspace(tmp_path)
    pair = load_server(workspace, "plant", names=[name])
    file, authority = tmp_path / "server.pem", tmp_path / "authority.pem"
    file.write_bytes(pair.certificate_pem + pair.key_pem)
    authority.write_bytes(load_authority(workspace, "plant").certificate_pem)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with serve(say(b"{}"), context) as address, pytest.raises(HostError, match=re.escape(told)) as caught:
        open_dashboard(f"https://{address}").fetch_mapping("projects")
    assert f"https://{address} has a certificate that is not taken: " in str(caught.value)
    assert not isinstance(caught.value, AwayError)
