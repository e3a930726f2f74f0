"""``x3 view``: the pages of a report from memory, for the browser of this machine only."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import threading
import webbrowser
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from x3spatial.errors import UserError
from x3spatial.reports.web.live import LiveSite
from x3spatial.reports.web.options import PageOptions, ReportOptions
from x3spatial.reports.web.page import assets, index_html
from x3spatial.reports.web.report import make_site
from x3spatial.texts import print_line

HOST = "127.0.0.1"
_LOG = logging.getLogger("x3spatial")
_CACHE_BYTES = 64 << 20
_IDLE_SECONDS = 30
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webp": "image/webp",
    ".txt": "text/plain; charset=utf-8",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Viewer:
    """Serves results, or a data root, on 127.0.0.1, and reads them again when they change.

    Only requests with the random token in their path and this server's name in ``Host`` are answered, so
    that neither another user of the machine nor a page of another site can read anything. Nothing is
    written.

    Args:
        paths: as of ``report``; results may still be going.
        options: options of the page; None for the defaults.
        port: 0 for a free one.

    Raises:
        UserError: a path or option is invalid, or the port is taken.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        options: PageOptions | None = None,
        *,
        port: int = 0,
    ) -> None:
        options = options or PageOptions()
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        inputs = [Path(path) for path in given]
        chosen = ReportOptions(**{f.name: getattr(options, f.name) for f in fields(PageOptions)})
        self.live = LiveSite(lambda: make_site(inputs, chosen, may_be_empty=True)[0], inputs)
        self.token = secrets.token_urlsafe(24)
        self._cache = _Cache(_CACHE_BYTES)
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        except (OSError, OverflowError) as error:
            self.live.close()
            raise UserError(f"--port {port}: cannot be used: {error}") from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="x3-http", daemon=True
        )

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def __enter__(self) -> Self:
        self.live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.live.close()

    def wait(self) -> None:
        """Serve until the process is interrupted."""
        while True:
            threading.Event().wait(3600)

    @cached_property
    def _assets(self) -> dict[str, bytes]:
        return assets()

    def answer(self, name: str) -> bytes | None:
        """The file ``name`` of the page; None if there is none."""
        if name in ("", "index.html"):
            return index_html(self.live.title)
        if name == "live.json":
            return json.dumps({"version": self.live.version}).encode()
        if name.startswith("data/") and name.endswith(".js"):
            return self.live.script(name.removeprefix("data/").removesuffix(".js"))
        if name.startswith("images/"):
            return self._image(name)
        return self._assets.get(name)

    def _image(self, name: str) -> bytes | None:
        found = self._cache.get(name)
        if found is None:
            source = self.live.files.get(name)
            if source is None:
                return None
            pictures, number = source
            _, found = pictures.make(number)
            if found is not None:
                self._cache.put(name, found)
        return found


class _Cache:
    """The pictures that were asked for last. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._held: OrderedDict[str, bytes] = OrderedDict()

    def get(self, name: str) -> bytes | None:
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
            return self._held.get(name)

    def put(self, name: str, data: bytes) -> None:
        with self._lock:
            self._size += len(data) - len(self._held.pop(name, b""))
            self._held[name] = data
            while self._size > self._most and len(self._held) > 1:
                _, old = self._held.popitem(last=False)
                self._size -= len(old)


def _handler(viewer: Viewer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "x3", ""
        timeout = _IDLE_SECONDS

        def do_GET(self) -> None:
            hosts = {f"{HOST}:{viewer.port}", f"localhost:{viewer.port}"}
            path = urlsplit(self.path).path
            _, token, *rest = path.split("/", 2) if path.count("/") else ("", "", "")
            if self.headers.get("Host", "") not in hosts:
                self._send(HTTPStatus.MISDIRECTED_REQUEST, b"not this server's name\n", ".txt")
            elif not hmac.compare_digest(token.encode(), viewer.token.encode()):
                self._send(HTTPStatus.FORBIDDEN, b"open the address that x3 view printed\n", ".txt")
            elif not rest:
                self.send_response(HTTPStatus.MOVED_PERMANENTLY)
                self.send_header("Location", f"/{viewer.token}/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                data = viewer.answer(rest[0])
                if data is None:
                    self._send(HTTPStatus.NOT_FOUND, b"no such file\n", ".txt")
                else:
                    self._send(HTTPStatus.OK, data, Path(rest[0] or "index.html").suffix)

        do_HEAD = do_GET

        def _send(self, status: HTTPStatus, data: bytes, suffix: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(data)))
            lasting = status is HTTPStatus.OK and suffix == ".webp"
            self.send_header("Cache-Control", "private, max-age=86400" if lasting else "no-store")
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Requests are not logged."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):  # the browser left
                self.close_connection = True

    return Handler


def view(
    paths: str | Path | Sequence[str | Path],
    options: PageOptions | None = None,
    *,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Serve results, or a data root, as a web page on 127.0.0.1 until the process is interrupted.

    The page follows runs that are still going: answers appear as their journals grow.

    Args:
        paths: results files, or folders with results at any depth, or one data root.
        options: options of the page; None for the defaults.
        port: the port; 0 for a free one.
        browser: whether to open the page in the browser.

    Raises:
        UserError: a path or option is invalid, or the port is taken.
    """
    with Viewer(paths, options, port=port) as viewer:
        print_line(viewer.url)
        if browser:
            open_in_browser(viewer.url)
        viewer.wait()


def open_in_browser(url: str) -> None:
    """Open a page in the user's browser, if there is one."""
    if not webbrowser.open(url):
        _LOG.info("no browser was found; open %s", url)
