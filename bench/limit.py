"""The limit: what a row's app costs when nothing serves it. Run by the interpreter of the venv.

In:     a row's key and seconds, as arguments.
Out:    CPU microseconds of one call of the app, on stdout.
Actors: the app, called in this process.
Never:  does a server, however good, get below this in the same interpreter.
"""

import importlib
import io
import sys
import time

from candidates import APPS
from rows import ROWS, Request

BATCH = 200


def environ_of(request: Request) -> dict:
    """What a WSGI server says of the request (PEP 3333), and little more."""
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/octet-stream" if request.body_bytes else "",
        "CONTENT_LENGTH": str(request.body_bytes) if request.body_bytes else "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def call(app, environ: dict, body: bytes) -> bytes:
    """One request as a server makes it: a fresh environ, every part of the answer taken, the answer closed."""
    environ = dict(environ)
    environ["wsgi.input"] = io.BytesIO(body)
    parts = app(environ, lambda status, headers, exc_info=None: None)
    answer = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return answer


def call_us(app, request: Request, seconds: float) -> float:
    environ, body = environ_of(request), request.body
    if call(app, environ, body) != request.answer:
        raise SystemExit("the app gave a wrong answer")
    calls, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        for _ in range(BATCH):
            call(app, environ, body)
        calls += BATCH
    return (time.process_time() - began) * 1e6 / calls


def main() -> None:
    key, seconds = sys.argv[1], float(sys.argv[2])
    row = next(row for row in ROWS if row.key == key)
    sys.path.insert(0, str(APPS))
    module, _, name = row.app.partition(":")
    app = getattr(importlib.import_module(module), name)
    call_us(app, row.request, seconds / 4)
    print(call_us(app, row.request, seconds))


if __name__ == "__main__":
    main()
