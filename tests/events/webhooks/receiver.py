"""A customer's receiver of webhooks, over HTTP or HTTPS, that fails on purpose when it is told to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from tests.waiting import until


@dataclass(frozen=True)
class Got:
    """One request as it came, whatever was answered."""

    headers: dict[str, str]
    body: bytes
    path: str
    at: float

    @property
    def number(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    def verified(self, secret: str) -> dict[str, Any]:
        """Return the event, if the reference library takes the signature. Raises its error."""
        told: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return told


# Answers a request in its own way; True where nothing more is to be said.
Way = Callable[[BaseHTTPRequestHandler], bool]


def status(code: int, **headers: str) -> Way:
    """Return a way to answer with a status."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        said = b"" if code == 204 else b"no\n"
        if said:
            handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)
        return True

    return answer


def reset(handler: BaseHTTPRequestHandler) -> bool:
    """Hang up without an answer."""
    handler.close_connection = True
    handler.connection.close()
    return True


@dataclass
class Receiver:
    """What came, and what is answered: the ways in ``plan`` first, then ``usual``."""

    url: str
    got: list[Got] = field(default_factory=list[Got])
    plan: list[Way] = field(default_factory=list[Way])
    usual: Way = field(default_factory=lambda: status(204))
    over: threading.Event = field(default_factory=threading.Event)

    def hang(self, _handler: BaseHTTPRequestHandler) -> bool:
        """Say nothing until the test ends."""
        self.over.wait(60)
        return True

    def trickle(self, handler: BaseHTTPRequestHandler) -> bool:
        """Send a header field's letters one by one, for as long as anybody reads."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.over.wait(0.1):
            handler.wfile.write(b"a")
            handler.wfile.flush()
        return True

    def flood(self, handler: BaseHTTPRequestHandler) -> bool:
        """Answer well, with a body that has no end."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while not self.over.is_set():
            handler.wfile.write(bytes(65_536))
        return True

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.got]

    def wait(self, number: int, seconds: float = 30.0) -> list[Got]:
        """Wait for so many requests."""
        until(lambda: len(self.got) >= number, lambda: f"{number} requests; {len(self.got)} came", seconds)
        return self.got


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """Serve on a free port of 127.0.0.1; ``certificate``: with its key beside it, for HTTPS."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Got(headers, body, self.path, time.monotonic()))
            way = receiver.plan.pop(0) if receiver.plan else receiver.usual
            with suppress(OSError):
                way(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    name = "localhost" if certificate is not None else "127.0.0.1"
    receiver.url = f"{scheme}://{name}:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
