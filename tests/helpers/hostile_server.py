"""A server that does to each request what a test says, down to the bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[[Any], None]
"""What is done to a request: a handler, whose ``body`` is that of the request."""


class Server:
    """A server that answers as ``act`` does, and the requests that reached it."""

    def __init__(self, act: Act) -> None:
        self.methods: list[str] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
                server.methods.append(self.command)
                server.headers.append({k.lower(): v for k, v in self.headers.items()})
                act(self)

            do_GET = do_POST

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients leave in the middle of a reply

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def acting(act: Act) -> Iterator[Server]:
    server = Server(act)
    try:
        yield server
    finally:
        server.close()


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
