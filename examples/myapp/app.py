"""An application that says what it knows of its client, directly and through ProxyFix."""

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
# Not needed behind hallway, which tells the truth by itself; harmless where it is there already.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)


@app.get("/")
def index():
    return "<h1>Hello, World!</h1>"


@app.get("/api/whoami")
def whoami():
    return {"client": request.remote_addr, "url": request.url}
