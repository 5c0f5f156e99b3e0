"""The web, as a detail: Flask turns HTTP into use cases and back."""

from __future__ import annotations

from flask import Flask, Response

from rentomatic.use_cases.repository import RoomRepository
from rentomatic.web.views import rooms_blueprint

_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def create_app(repository: RoomRepository) -> Flask:
    app = Flask(__name__, static_url_path="/static")
    app.json.sort_keys = False
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.register_blueprint(rooms_blueprint(repository))
    app.after_request(_add_security_headers)
    return app


def _add_security_headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Content-Security-Policy", _SECURITY_POLICY)
    return response
