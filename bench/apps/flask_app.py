"""The same answers from Flask.

In:     GET /, POST /echo.
Out:    a text of 12 bytes; the body that came.
Actors: a WSGI server.
Never:  does it use more of Flask than a route.
"""

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def text():
    return Response("hello, world", mimetype="text/plain")


@app.post("/echo")
def echo():
    return Response(request.get_data(cache=False), mimetype="application/octet-stream")
