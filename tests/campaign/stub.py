"""A server that answers well, or in one of many bad ways."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ANSWER = "[(0.250, 0.500)]"
_ENDLESS_BYTES = 1 << 32


def _reply(text: str, **message: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "stop",
    }
    value = {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "answer": text,
             "result": 1}  # fmt: skip
    return json.dumps(value).encode()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stub: Stub

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """A redirect may turn a question into this."""
        self.stub.followed.append(self.path)
        self.send(200, _reply("[(0.9, 0.9)]"))

    def do_POST(self) -> None:
        """A question."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/elsewhere"):
            self.stub.followed.append(self.path)
        with contextlib.suppress(OSError):
            MODES[self.stub.mode](self)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole reply."""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def key(self) -> str:
        """The key that was sent."""
        return (self.headers.get("authorization") or "").removeprefix("Bearer ")


def _endless(body: Iterator[bytes]) -> Callable[[Handler], None]:
    def act(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(_ENDLESS_BYTES))
        handler.end_headers()
        for part in body:
            handler.wfile.write(part)

    return act


def _slow(handler: Handler) -> None:
    body = _reply(ANSWER)
    handler.send_response(200)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    for place in range(len(body)):
        handler.wfile.write(body[place : place + 1])
        handler.wfile.flush()
        if handler.stub.ended.wait(0.5):
            return


def _forever(part: bytes) -> Iterator[bytes]:
    while True:
        yield part


def _bomb(handler: Handler) -> None:
    body = gzip.compress(b" " * (1 << 28), 9)
    handler.send(200, body, content_encoding="gzip")


def _cut(handler: Handler) -> None:
    body = _reply(ANSWER)
    handler.send_response(200)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def _many_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        handler.wfile.write(b"x-%d: y\r\n" % number)


def _silent(handler: Handler) -> None:
    handler.stub.ended.wait(20)


def _no_http(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")


def _status(code: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.send(
        code,
        json.dumps({"error": {"message": f"no: {handler.key}", "code": code}}).encode(),
        **headers,
    )


def _body(data: bytes | Callable[[Handler], bytes]) -> Callable[[Handler], None]:
    return lambda handler: handler.send(200, data if isinstance(data, bytes) else data(handler))


def _escaped(handler: Handler) -> bytes:
    return b'{"choices": [{"message": {"content": "%s"}}], "answer": "%s"}' % (
        ("".join(f"\\u{ord(c):04x}" for c in handler.key).encode(),) * 2
    )


def _mixed(handler: Handler) -> bytes:
    key = handler.key.replace("+", "\\u002B").replace("/", "\\/")
    return f'{{"choices": [{{"message": {{"content": "{key}"}}}}], "answer": "{key}"}}'.encode()


MODES: dict[str, Callable[[Handler], None]] = {
    "well": _body(_reply(ANSWER)),
    **{f"status {code}": _status(code) for code in (400, 401, 403, 404, 408, 413, 422, 500, 502, 503, 529)},
    "status 429, later": _status(429, Retry_After="1"),
    "status 429, in a year": _status(429, Retry_After="31536000"),
    "status 429, at no time": _status(429, Retry_After="soon"),
    **{
        f"redirect {code}": _status(code, Location="/elsewhere/v1/chat/completions")
        for code in (301, 302, 303, 307, 308)
    },
    "redirect to itself": lambda handler: _status(307, Location=handler.path)(handler),
    "redirect to a file": _status(307, Location="file:///etc/passwd"),
    "slow": _slow,
    "silent": _silent,
    "hangs up": lambda handler: handler.connection.close(),
    "cut": _cut,
    "no reply in HTTP": _no_http,
    "endless blanks": _endless(_forever(b" " * 65536)),
    "endless text": _endless(iter([b'{"choices": [{"message": {"content": "', *([b"x" * 65536] * 40_000)])),
    "endless headers": _many_headers,
    "a gzip bomb": _bomb,
    "damaged gzip": lambda handler: handler.send(200, b"\x1f\x8bnot", content_encoding="gzip"),
    "garbage": _body(bytes(range(256))),
    "empty": _body(b""),
    "null": _body(b"null"),
    "a list": _body(b"[]"),
    "HTML": _body(b"<html><body>Sign in</body></html>"),
    "nested too deep": _body(b"[" * 200_000),
    "a long number": _body(b"9" * 200_000),
    "no choices": _body(b'{"choices": []}'),
    "choices of null": _body(b'{"choices": [null]}'),
    "content of null": _body(b'{"choices": [{"message": {"content": null}}], "answer": null}'),
    "content that is a number": _body(b'{"choices": [{"message": {"content": 5}}], "answer": 5}'),
    "content with a surrogate": _body(_reply("\ud800")),
    "content with zero bytes": _body(_reply("\0\0")),
    "content of a million characters": _body(_reply("x" * 1_000_000)),
    "an escape sequence": lambda handler: handler.send(
        400, b'{"error": {"message": "\\u001b[31mred\\u0007"}}'
    ),
    "the key": _body(lambda handler: _reply(handler.key)),
    "the key, escaped": _body(_escaped),
    "the key, as other languages escape it": _body(_mixed),
    "the key, in an error": _status(401),
}  # fmt: skip
"""How it answers. The first is right."""
GOOD = "well"


class Stub:
    """The server. Use as a context manager."""

    def __init__(self) -> None:
        self.mode = GOOD
        self.followed: list[str] = []
        """Requests that only a client sends that follows redirects."""
        self.ended = threading.Event()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        handler = type("StubHandler", (Handler,), {"stub": self})
        self._http = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def set(self, mode: str) -> None:
        """Answer like this from now on; requests under way end."""
        self.ended.set()
        time.sleep(0)
        self.ended = threading.Event()
        self.mode = mode
        self.followed.clear()

    def close(self) -> None:
        """End it."""
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
