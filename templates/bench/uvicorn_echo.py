"""The reference for HTTP: an echo on bare ASGI."""

HEADERS = [(b"content-type", b"text/plain")]


async def app(scope, receive, send):
    """Answer with the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
