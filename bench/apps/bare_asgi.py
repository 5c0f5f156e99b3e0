"""The least an ASGI application can do: the answers of bare.py.

In:     GET /, POST /echo.
Out:    a text of 12 bytes; the body that came.
Actors: an ASGI server.
Never:  does it spend time that a server could be blamed for.
"""

TEXT = b"hello, world"
TEXT_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"12")]


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("nothing but HTTP is served")
    status, headers, body = 200, TEXT_HEADERS, TEXT
    if scope["path"] == "/echo" and scope["method"] == "POST":
        body = await read(receive)
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    elif scope["path"] != "/":
        status, headers, body = 404, [(b"content-length", b"0")], b""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
