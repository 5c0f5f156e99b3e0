"""A server behind hallway: says who it is and what it was asked, and behaves as its path says.

In:     its name, an address to listen at (`127.0.0.1:0` or a path), a certificate and a key where it speaks TLS.
Out:    its address on stdout; answers over HTTP/1.1.
Actors: one thread for each connection.
Never:  does it know hallway.
"""

import json
import os
import socket
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

COUNT = {"connections": 0, "requests": 0}
LOCK = threading.Lock()
SICK = threading.Event()
RELEASED = threading.Semaphore(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "upstream/1"
    wbufsize = -1

    def setup(self):
        super().setup()
        with LOCK:
            COUNT["connections"] += 1

    def log_message(self, *_):
        pass

    def answer(self, body: bytes, status=200, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_one_request(self):
        super().handle_one_request()

    def serve(self):
        with LOCK:
            COUNT["requests"] += 1
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        name = url.path.rsplit("/", 1)[-1]
        act = getattr(self, "do_" + name.replace("-", "_"), None) if name.islower() else None
        if name not in ("echo", "length", "refuse", "sip"):
            self.body()
        if act:
            return act(query)
        self.answer(NAME.encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_MOVE = serve

    def do_health(self, _):
        self.answer(b"ill" if SICK.is_set() else b"well", 500 if SICK.is_set() else 200)

    def do_sicken(self, _):
        SICK.set()
        self.answer(b"ill from now on")

    def do_heal(self, _):
        SICK.clear()
        self.answer(b"well from now on")

    def do_count(self, _):
        self.answer(json.dumps(COUNT).encode())

    def do_echo(self, _):
        asked = {"name": NAME, "method": self.command, "path": self.path, "headers": self.headers.items()}
        asked["body"] = self.body().decode("latin-1")
        self.answer(json.dumps(asked).encode(), headers=[("X-Mine", "1")])

    def do_sip(self, _):
        """Takes the body slowly."""
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
            time.sleep(0.001)
        self.answer(self.headers["Content-Length"].encode())

    def do_length(self, _):
        self.answer(str(len(self.body())).encode())

    def do_slow(self, query):
        self.pause(query if query else {"s": 1})
        self.answer(NAME.encode())

    def do_status(self, query):
        self.answer(b"as you wish", int(query["is"]))

    def do_mood(self, query):
        """As it was told to be: with this status when it is ill."""
        status = int(query.get("is", 503)) if SICK.is_set() else 200
        self.answer(f"{NAME} {status}".encode(), status, [("Retry-After", "7"), ("Set-Cookie", "a=1")])

    def do_moved(self, query):
        """Elsewhere: OWN is the server's own address."""
        named = {"to": "Location", "at": "Content-Location", "later": "Refresh", "cookie": "Set-Cookie"}
        host, port = self.server.server_address[:2] if isinstance(self.server.server_address, tuple) else ("", 0)
        own = [(named[key], value.replace("OWN", f"{host}:{port}")) for key, value in query.items() if key in named]
        self.answer(b"moved", int(query.get("is", 302)), own)

    def do_big(self, query):
        size = int(query["bytes"])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        block = bytes(range(256)) * 256
        while size > 0:
            self.wfile.write(block[:size])
            size -= len(block)

    def do_chunks(self, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Sum")
        self.end_headers()
        for number in range(int(query.get("n", 3))):
            text = f"piece {number}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            self.wfile.flush()
            self.pause(query)
        self.wfile.write(b"0\r\nX-Sum: 42\r\n\r\n")

    def pause(self, query):
        """As long as the query says, or until somebody asks for /release."""
        if "held" in query:
            RELEASED.acquire(timeout=60)
        time.sleep(float(query.get("s", 0)))

    def do_release(self, _):
        RELEASED.release()
        self.answer(b"go on")

    def do_hints(self, query):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self.wfile.flush()
        self.pause(query)
        self.answer(b"hinted")

    def do_until_close(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        self.close_connection = True

    def do_refuse(self, _):
        """Answers without taking the body."""
        self.answer(b"too much", 413, [("Connection", "close")])
        self.close_connection = True

    def do_die(self, _):
        """Ends the connection instead of answering."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_half(self, _):
        """Half of an answer."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_upgrade(self, _):
        """Another protocol: everything comes back in capitals."""
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: capitals\r\n\r\nHELLO ")
        self.wfile.flush()
        while heard := self.connection.recv(65536):
            self.connection.sendall(heard.upper())
        self.connection.sendall(b" BYE")
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)


if __name__ == "__main__":
    NAME, at, *encrypted = sys.argv[1:]
    if at.startswith("/"):
        server = UnixServer(at, Handler)
        os.chmod(at, 0o666)  # An edge that root has started is somebody else.
        where = at
    else:
        host, port = at.rsplit(":", 1)
        server = Server((host, int(port)), Handler)
        where = f"{host}:{server.server_address[1]}"
    if encrypted:
        certificate, key, *authority = encrypted
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority:
            context.load_verify_locations(authority[0])
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(where, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()
