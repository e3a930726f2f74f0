"""``x3 view``: what the server answers, to whom, and how it follows runs."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from helpers.killed_run import Mortal, killed_run
from helpers.paths import SRC
from helpers.task_sets import make_set
from helpers.web_report import data, parse
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.reports.web import live
from x3spatial.reports.web.report import report
from x3spatial.reports.web.server import Viewer


@pytest.fixture(scope="module")
def viewer(web_results: Path) -> Iterator[Viewer]:
    with Viewer(web_results / "results") as running:
        yield running


def ask(
    viewer: Viewer, path: str, *, method: str = "GET", host: str | None = None, raw: bool = False
) -> tuple[int, bytes, dict[str, str]]:
    """Ask for ``path`` below the token; ``raw``: below the server."""
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=10)
    target = path if raw else f"/{viewer.token}/{path}"
    connection.putrequest(method, target, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{viewer.port}")
    connection.endheaders()
    reply = connection.getresponse()
    found = reply.status, reply.read(), dict(reply.getheaders())
    connection.close()
    return found


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_it_serves_the_pages_of_the_report(
    viewer: Viewer, web_results: Path, tmp_path: Path
) -> None:
    report(web_results / "results", tmp_path / "r", workers=1)
    assert ask(viewer, "")[1] == ask(viewer, "index.html")[1]
    assert ask(viewer, "")[1] == (tmp_path / "r/index.html").read_bytes()
    for name in ("report", "ids-0", "set-0/detail-0000"):
        status, body, headers = ask(viewer, f"data/{name}.js?v=1")
        assert status == 200 and headers["Content-Type"].startswith("text/javascript")
        expected = data(tmp_path / "r", name)
        if name == "report":
            assert expected["live"] is False
            expected["live"] = True
        assert parse(body.decode()) == (name, expected)
    index = parse(ask(viewer, "data/set-0.js")[1].decode())[1]
    written = data(tmp_path / "r", "set-0")
    for image, copy in zip(index.pop("images"), written.pop("images"), strict=True):
        status, body, headers = ask(viewer, image["src"])
        assert status == 200 and headers["Content-Type"] == "image/webp"
        assert body == (tmp_path / "r" / copy["src"]).read_bytes()
        assert (image["w"], image["h"]) == (copy["w"], copy["h"])
    assert index == written
    assert json.loads(ask(viewer, "live.json")[1]) == {"version": 1}


def test_only_its_own_address_and_token_are_answered(viewer: Viewer) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", viewer.url)
    for host in ("evil.example", f"evil.example:{viewer.port}", "127.0.0.1", "127.0.0.1:1"):
        assert ask(viewer, "data/report.js", host=host)[0] == 421, host
    assert ask(viewer, "", host=f"localhost:{viewer.port}")[0] == 200
    wrong = "x" * len(viewer.token)
    for path in (
        "/",
        "/index.html",
        f"/{wrong}/",
        f"/{viewer.token[:-1]}/",
        f"/%C3{viewer.token}/",
    ):
        status, body, _ = ask(viewer, path, raw=True)
        assert status == 403 and viewer.token.encode() not in body, path
    status, _, headers = ask(viewer, f"/{viewer.token}", raw=True)
    assert (status, headers["Location"]) == (301, f"/{viewer.token}/")


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "%2e%2e/etc/passwd", "data/../index.html", "data/report", "data/.js", "x",
        "assets/../index.html", "images/x.webp", "data/set-9.js", "data/set-0/detail-9999.js",
    ],
)  # fmt: skip
def test_nothing_else_is_there(viewer: Viewer, path: str) -> None:
    assert ask(viewer, path)[0] == 404


def test_it_is_read_only_and_alone(viewer: Viewer) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(viewer, "", method=method)[0] == 501
    status, body, headers = ask(viewer, "live.json", method="HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 0
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not any(name.startswith("Access-Control") for name in headers)


def test_a_page_follows_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_POLL_SECONDS", 0.05)
    tasks = make_set(tmp_path / "set", count=12)
    results = tmp_path / "results"
    killed_run(tasks, results / "t1_val_multi.json", 0)

    def cells(viewer: Viewer) -> list[tuple[str, int]]:
        value = parse(ask(viewer, "data/report.js")[1].decode())[1]
        return [(cell["state"], cell["total"]) for cell in value["cells"]]

    with Viewer(results) as viewer:
        assert cells(viewer) == []  # no answer yet
        killed_run(tasks, results / "t1_val_multi.json", 2)
        until(lambda: cells(viewer) == [("unfinished", 8)])
        first = viewer.live.version
        assert first > 1
        evaluate(tasks, results / "t1_val_multi.json", Mortal(9), batch_size=4, workers=1)
        until(lambda: cells(viewer) == [("complete", 12)])
        version = viewer.live.version
        assert version > first
        time.sleep(0.3)
        assert viewer.live.version == version  # nothing changed, nothing is read
        (results / "t1_val_multi.json").write_text("{")  # being written: the last good state stays
        time.sleep(0.3)
        assert cells(viewer) in ([("complete", 12)], [])


def test_wrong_use(web_results: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results of"):
        Viewer(tmp_path)
    with pytest.raises(UserError, match="no such results file or folder"):
        Viewer(tmp_path / "missing")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(UserError, match=rf"--port {port}: cannot be used"):
            Viewer(web_results / "results", port=port)


def test_the_command_ends_on_ctrl_c(web_results: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "x3spatial",
        "view",
        str(web_results / "results"),
        "--no-browser",
    ]
    with subprocess.Popen(
        command,
        env={"PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        ending = threading.Timer(120, process.kill)  # a test that fails must not wait for ever
        ending.start()
        url = urlsplit(process.stdout.readline().split()[0])
        connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=10)
        connection.request("GET", url.path)
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == "x3: stopped\n"
        connection.close()
        ending.cancel()
