"""What the trials ask for.

In:     GET /, GET /sleep, GET /large, POST /.
Out:    a text of 12 bytes; the same a second later; 1 MiB; the length of the body that came.
Actors: a WSGI server.
Never:  does anything but /sleep wait.
"""

import time

LARGE = b"x" * 1_048_576


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        time.sleep(1)
    answer = b"hello, world"
    if path == "/large":
        answer = LARGE
    elif environ["REQUEST_METHOD"] == "POST":
        answer = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
