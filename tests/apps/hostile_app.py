"""In:     requests of clients that mean no good.
Out:    how many bytes their bodies have; at a path that ends with slow after 20 ms.
Actors: none.
Never:  does it know of hallway.
"""

import time


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"].endswith("slow"):
        time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode()]
