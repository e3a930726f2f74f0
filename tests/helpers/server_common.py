"""A server whose answers and failures are set by a test, and task files whose samples it can distinguish."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.cli import run

Plan = Callable[[int, int], str]
"""(number of the sample, attempt from 1) → what the server does, see ``FaultyServer``."""
HANG_SECONDS = 30.0


def numbered_set(folder: Path, count: int) -> Path:
    """A task file whose sample N is asked "Where is object N?"."""
    mask = box_mask(32, 24, 4, 5, 20, 18)
    records = []
    for number in range(count):
        name = f"{number % 4:02d}"  # few files: what is tested is the asking
        record = make_record(folder, name, mask, scene=f"s{number % 3}")
        text = f"Where is object {number}?"
        prompt = f"{text} Answer [(x, y)] or NOT_VISIBLE."
        records.append(replace(record, id=f"sample-{number}", prompt=prompt, question=text))
    return write_set(folder / "t1_val_multi.json", records)


def text_of(number: int) -> str:
    """What the server answers about sample ``number``."""
    return f"[(0.{number:03d}, 0.500)]"


def chat(content: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A reply of chat completions."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "served",
        "choices": [{**choice, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


class FaultyServer:
    """Answers over HTTP as ``plan`` says; chat completions, and ``/query`` of RoboRefer's server.

    A plan gives the name of a fault, a status (with ``/SECONDS`` or ``/date`` for Retry-After, the latter
    1 to 2 seconds ahead), or "ok".
    """

    def __init__(self, plan: Plan | None = None, *, seconds: float = 0.0) -> None:
        self.plan: Plan = plan or (lambda number, attempt: "ok")
        self.seconds = seconds
        """Seconds per answer, multiplied by 0, 1 or 2, so that answers arrive out of order."""
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.asked: Counter[int] = Counter()
        self.times: dict[int, list[float]] = defaultdict(list)
        self.under_way = 0
        self.most = 0
        self.crowds: list[int] = []
        """Number of concurrent requests at the arrival of each request, including itself."""
        self.ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each reply waits 40 ms for an acknowledgement

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                server._answer(self)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients go away when they are told to

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self._leaving = threading.Thread(target=self._leave)

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    def forget(self) -> None:
        with self.lock:
            self.asked.clear()
            self.times.clear()
            self.bodies.clear()
            self.headers.clear()

    def vanish(self) -> None:
        """Stop listening; to be called from a request."""
        if not self._leaving.is_alive() and not self._leaving.ident:
            self._leaving.start()

    def _leave(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def close(self) -> None:
        self.ended.set()
        with self.lock:
            self.vanish()
        self._leaving.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        text = body["text"] if "text" in body else body["messages"][0]["content"][-1]["text"]
        found = re.search(r"object (\d+)\?", text)
        number = int(found[1]) if found else -1
        with self.lock:
            self.asked[number] += 1
            attempt = self.asked[number]
            self.times[number].append(time.monotonic())
            self.bodies.append(body)
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            self.paths.append(handler.path)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.crowds.append(self.under_way)
        try:
            self._act(handler, self.plan(number, attempt), number)
        finally:
            with self.lock:
                self.under_way -= 1

    def _act(self, handler: BaseHTTPRequestHandler, what: str, number: int) -> None:
        key = handler.headers.get("authorization", "")
        status, _, after = what.partition("/")
        if status.isdigit():
            headers = {}
            if after == "date":
                moment = datetime.now(UTC) + timedelta(seconds=2)
                headers["Retry-After"] = format_datetime(moment, usegmt=True)
            elif after:
                headers["Retry-After"] = after
            error = {"error": {"message": f"no luck with {key}", "code": "some_code"}}
            self._send(handler, int(status), json.dumps(error), headers)
        elif what == "hang":
            self.ended.wait(HANG_SECONDS)
            handler.close_connection = True
        elif what == "cut":
            reply = json.dumps(chat(text_of(number)))
            handler.send_response(200)
            handler.send_header("content-length", str(len(reply)))
            handler.end_headers()
            handler.wfile.write(reply[: len(reply) // 2].encode())
            handler.close_connection = True
        elif what == "drip":  # never silent for long, never done
            handler.send_response(200)
            handler.send_header("content-length", "1000000")
            handler.end_headers()
            while not self.ended.wait(0.05):
                handler.wfile.write(b" ")
            handler.close_connection = True
        elif what.startswith("400:"):
            self._send(handler, 400, what[4:])
        elif what == "no json":
            self._send(handler, 200, f"<html>gateway of {key}</html>")
        elif what == "no choices":
            self._send(handler, 200, json.dumps({**chat(""), "choices": []}))
        elif what == "error body":
            self._send(handler, 200, json.dumps({"error": {"message": f"broken {key}"}}))
        elif what == "null":
            self._send(handler, 200, json.dumps(chat(None)))
        elif what == "empty":
            self._send(handler, 200, json.dumps(chat(" \n")))
        elif what == "list":
            self._send(handler, 200, "[1, 2]")
        elif what == "wrong shape":
            self._send(handler, 200, json.dumps({"choices": [{"text": "old"}]}))
        elif what == "ok":
            self.ended.wait(self.seconds * (number * 7 % 3))
            both = chat(text_of(number)) | {"result": 1, "answer": text_of(number)}
            self._send(handler, 200, json.dumps(both))
        else:
            self._send(handler, 200, what)  # a reply given as it is

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        text: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        data = text.encode()
        handler.send_response(status)
        for name, value in {"content-length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def serving(plan: Plan | None = None, *, seconds: float = 0.0) -> Iterator[FaultyServer]:
    server = FaultyServer(plan, seconds=seconds)
    try:
        yield server
    finally:
        server.close()


def command(data: Path, out: Path, *urls: str, **options: object) -> list[str]:
    """``x3 eval`` of a served model, as the arguments of the command line."""
    arguments: list[object] = ["eval", "--data-json", data, "--output-json", out]
    options = {"model": "openai:tiny", "convention": "unit", **options}
    for url in urls:
        arguments += ["--base-url", url]
    for name, value in options.items():
        arguments += [f"--{name}"] if value is True else [f"--{name}", value]
    return [str(argument) for argument in arguments]


def x3(data: Path, out: Path, *urls: str, **options: object) -> int:
    """Run it in this process; gives the exit code."""
    return run(command(data, out, *urls, **options))


def results(out: Path) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads(out.read_text())["results"]
    return value
