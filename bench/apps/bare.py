"""The least a WSGI application can do.

In:     GET /, POST /echo.
Out:    a text of 12 bytes; the body that came.
Actors: a WSGI server.
Never:  does it spend time that a server could be blamed for.
"""

TEXT = b"hello, world"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/echo" and environ["REQUEST_METHOD"] == "POST":
        return echo(environ, start_response)
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [TEXT]


def echo(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
