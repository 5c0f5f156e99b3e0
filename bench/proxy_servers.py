"""The servers of the proxy rows, as data: each before one upstream, HTTP and HTTPS in front.

In:     a place with a port for each, a certificate, the port of the upstream.
Out:    the command that starts the server there, its configuration beside it; the upstream's.
Actors: none: procs.py starts them; openssl makes the certificate.
Never:  does one of them do less for a request: each says who the client is, and keeps connections to the upstream.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from candidates import Candidate, Place, run_nginx
from debian import program
from edge_servers import CANDIDATES as EDGE, HAPROXY_PROGRAM, NGINX as NGINX_FILES

HERE = Path(__file__).resolve().parent

HALLWAY = """[server]
http = "127.0.0.1:{port}"
https = "127.0.0.1:{tls_port}"
threads = 1
client_connections = 0
{user}
[pool.upstream]
servers = ["http://127.0.0.1:{upstream}"]
keep_alive = {{ connections = 1100 }}
[site."*"]
tls = {{ cert = "{certificate}", key = "{key}" }}
https_redirect = false
routes = [{{ path = "/*", pool = "upstream" }}]
"""

NGINX = """{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 10000;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log warn;
events {{ worker_connections 5000; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    uwsgi_temp_path {scratch}/uwsgi;
    upstream upstream {{ server 127.0.0.1:{upstream}; keepalive 1100; keepalive_requests 100000000; }}
    map $http_upgrade $upgrades {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        listen 127.0.0.1:{tls_port} ssl backlog=2048;
        http2 on;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://upstream;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrades;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Request-Id $request_id;
            add_header X-Request-Id $request_id;
        }}
    }}
}}
"""

HAPROXY = """global
    nbthread 1
    maxconn 5000
    ssl-default-bind-curves X25519
defaults
    mode http
    timeout client 10m
    timeout http-keep-alive 10m
    timeout connect 10s
    timeout server 10m
    timeout tunnel 10m
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 2048
    bind 127.0.0.1:{tls_port} ssl crt {pair} alpn h2,http/1.1 backlog 2048
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Request-Id %[uuid()]
    default_backend back
backend back
    server upstream 127.0.0.1:{upstream} pool-max-conn 1100
"""


def configure(place: Place, name: str, template: str, **more: object) -> str:
    encrypted = place.encrypted
    text = template.format(
        port=place.port, tls_port=encrypted.port, certificate=encrypted.certificate, key=encrypted.key,
        scratch=place.scratch, upstream=place.upstream_port, **more,
    )
    (place.scratch / name).write_text(text)
    return str(place.scratch / name)


def hallway(place: Place) -> list[str]:
    # Started as root its edge is somebody else, as nginx's workers are.
    user = 'user = "root"' if os.geteuid() == 0 else ""
    return [str(place.tools.hallway), "serve", "-c", configure(place, "hallway.toml", HALLWAY, user=user)]


def nginx(place: Place) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    return run_nginx(place, configure(place, "nginx.conf", NGINX, user=user))


def haproxy(place: Place) -> list[str]:
    pair = place.scratch / "pair.pem"
    pair.write_text(place.encrypted.certificate.read_text() + place.encrypted.key.read_text())
    command = program(place.tools.peers, HAPROXY_PROGRAM)
    return [*command, "-db", "-f", configure(place, "haproxy.cfg", HAPROXY, pair=pair)]


COMMANDS = {"hallway": ("hallway", hallway), "nginx": ("nginx", nginx), "haproxy": ("HAProxy", haproxy)}
CANDIDATES = [
    replace(one, title=COMMANDS[one.key][0], command=COMMANDS[one.key][1]) for one in EDGE if one.key in COMMANDS
]


def files_upstream(place: Place) -> list[str]:
    """nginx with the row's file, which is asked for over plain HTTP only."""
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX_FILES.format(
        user=user, port=place.upstream_port, tls_port=place.encrypted.port, certificate=place.encrypted.certificate,
        key=place.encrypted.key, scratch=place.scratch, files=place.scratch / "files", descriptors=5000,
        etc=place.tools.peers / "etc" / "nginx",
    )
    (place.scratch / "nginx.conf").write_text(text)
    return run_nginx(place, place.scratch / "nginx.conf")


def echo_upstream(place: Place) -> list[str]:
    return [sys.executable, "-B", str(HERE / "websocket_echo.py"), str(place.upstream_port)]
