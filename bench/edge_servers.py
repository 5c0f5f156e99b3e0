"""The servers of the edge rows, as data: files over HTTP and HTTPS, no app behind them.

In:     a place with a port for each, a certificate, and the files below `files` in its scratch directory.
Out:    the command that starts the server there, its configuration beside it.
Actors: none: procs.py starts them; openssl makes the certificate.
Never:  does one of them wait for another kind of key, keep a log of requests, or end a connection that is idle.
"""

import os
import resource
import subprocess
from pathlib import Path

from candidates import Candidate, Encrypted, Place, Tools, nginx_version, run_nginx
from debian import program
from faults import BenchFault

HAPROXY_PROGRAM, CADDY_PROGRAM = "usr/sbin/haproxy", "usr/bin/caddy"
HARD_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
# hallway gives clients half of its descriptors less 100, HAProxy counts two for each connection: alike for all.
CONNECTIONS_MAX = 10_100 if HARD_LIMIT == resource.RLIM_INFINITY else min(10_100, HARD_LIMIT // 2 - 100)

HALLWAY = """[server]
http = "127.0.0.1:{port}"
https = "127.0.0.1:{tls_port}"
threads = 1
{user}
idle_timeout = "10m"
client_connections = 0
[site."*"]
tls = {{ cert = "{certificate}", key = "{key}" }}
https_redirect = false
routes = [{{ path = "/*", files = "{files}" }}]
"""

NGINX = """{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log warn;
events {{ worker_connections {descriptors}; }}
http {{
    include {etc}/mime.types;
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    uwsgi_temp_path {scratch}/uwsgi;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 60s;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        http2 on;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {files};
    }}
}}
"""

HAPROXY = """global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    timeout client 10m
    timeout http-keep-alive 10m
    timeout connect 10s
    timeout server 10s
frontend edge
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls_port} ssl crt {pair} alpn h2,http/1.1
    http-request return status 200 content-type text/plain file {files}{path} if {{ path {path} }}
"""

CADDY = """{{
    admin off
    auto_https off
    default_bind 127.0.0.1
    servers {{
        protocols h1 h2
    }}
}}
http://:{port} {{
    root * {files}
    file_server
}}
https://:{tls_port} {{
    tls {certificate} {key}
    root * {files}
    file_server
}}
"""


def make_certificate(directory: Path, port: int) -> Encrypted:
    """ECDSA P-256, for 127.0.0.1: the kind of key that costs a server least of those that all of them take."""
    made = Encrypted(port, directory / "leaf.pem", directory / "leaf.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate), "-days", "7", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if ended.returncode != 0:
        raise BenchFault("openssl made no certificate", ended.stderr)
    return made


def configure(place: Place, name: str, template: str, **more: object) -> str:
    """Writes the configuration into the scratch directory and says where."""
    encrypted = place.encrypted
    text = template.format(
        port=place.port, tls_port=encrypted.port, certificate=encrypted.certificate, key=encrypted.key,
        scratch=place.scratch, files=place.scratch / "files", path=place.row.request.path,
        etc=place.tools.peers / "etc" / "nginx",
        # Twice as many for nginx: it closes idle connections when only a sixteenth is left.
        connections=CONNECTIONS_MAX, descriptors=2 * CONNECTIONS_MAX, **more,
    )
    (place.scratch / name).write_text(text)
    return str(place.scratch / name)


def hallway(place: Place) -> list[str]:
    # Started as root its edge is somebody else, as nginx's workers are.
    user = 'user = "root"' if os.geteuid() == 0 else ""
    return [str(place.tools.hallway), "serve", "-c", configure(place, "hallway.toml", HALLWAY, user=user)]


def nginx(place: Place) -> list[str]:
    # Started as root its workers are somebody else, who may not look into the scratch directory.
    user = "user root;" if os.geteuid() == 0 else ""
    return run_nginx(place, configure(place, "nginx.conf", NGINX, user=user))


def haproxy(place: Place) -> list[str]:
    """It has no files: it answers with one that it read when it started, and that fits into its buffer."""
    pair = place.scratch / "pair.pem"
    pair.write_text(place.encrypted.certificate.read_text() + place.encrypted.key.read_text())
    command = program(place.tools.peers, HAPROXY_PROGRAM)
    return [*command, "-db", "-f", configure(place, "haproxy.cfg", HAPROXY, pair=pair)]


def caddy(place: Place) -> list[str]:
    """As many threads for Go as it has cores: it looks at those of the machine, not at those it may run on."""
    configuration = configure(place, "Caddyfile", CADDY)
    command = ["/usr/bin/env", "GOMAXPROCS=1", *program(place.tools.peers, CADDY_PROGRAM), "run"]
    return [*command, "--config", configuration, "--adapter", "caddyfile"]


def caddy_version(tools: Tools) -> list[str]:
    return ["/bin/sh", "-c", 'echo Caddy $("$@")', "sh", *program(tools.peers, CADDY_PROGRAM), "version"]


CANDIDATES = [
    Candidate("hallway", "hallway", hallway, lambda tools: [str(tools.hallway), "--version"]),
    Candidate("nginx", "nginx (open_file_cache)", nginx, nginx_version),
    Candidate("haproxy", "HAProxy (return file)", haproxy, lambda tools: [*program(tools.peers, HAPROXY_PROGRAM), "-v"]),
    Candidate("caddy", "Caddy", caddy, caddy_version),
]
