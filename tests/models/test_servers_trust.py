"""Servers that are not to be trusted: floods, redirects, headers of the environment, keys that come back."""

from __future__ import annotations

import base64
import gzip
import json
import time
import tracemalloc
import zlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest

from helpers.hostile_server import Act, acting, reply
from helpers.server_common import chat, command, numbered_set, results, serving, text_of, x3
from x3spatial.cli import run
from x3spatial.models.servers import retrying
from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.client import is_openai

pytest.importorskip("openai")

KEY = "sk-Ab+9/x&yZ<=7\"q'W_45.t~"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_set(tmp_path_factory.mktemp("data"), 4)


def good(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, json.dumps(chat("[(0.5, 0.5)]") | {"answer": "[(0.5, 0.5)]"}).encode())


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b'{"choices": [' + b" " * 100_000)


def endless_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def bomb(times: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b" " * 1_000_000) for _ in range(times)]
    return b"".join([*pieces, packer.flush()])


BOMB = bomb(1000)


def gzip_bomb(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, BOMB, Content_Encoding="gzip")


def double_bomb(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, gzip.compress(BOMB), Content_Encoding="gzip, gzip")


def large(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, json.dumps(chat("[(0.5, 0.5)]" + " " * 5_000_000)).encode())


@pytest.mark.parametrize("kind", ["openai", "roborefer"])
@pytest.mark.parametrize("act", [endless, endless_chunks, gzip_bomb, double_bomb, large])
def test_a_reply_that_is_too_large_is_an_error_and_memory_stays_flat(
    data: Path, tmp_path: Path, act: Act, kind: str
) -> None:
    out = tmp_path / "out.json"
    with acting(act) as server:
        arguments = command(data, out, f"{server.url}/v1", limit=2)
        if kind == "roborefer":
            arguments = [
                "eval",
                str(data),
                "-o",
                str(out),
                "--model",
                f"roborefer-server:{server.url}",
            ]
            arguments += ["--limit", "2"]
        begun = time.monotonic()
        tracemalloc.start()
        try:
            assert run(arguments) == 1
            assert tracemalloc.get_traced_memory()[1] < 60_000_000
        finally:
            tracemalloc.stop()
    assert time.monotonic() - begun < 60
    assert len(server.methods) == 2  # another attempt would end the same
    for entry in results(out):
        assert entry["error"] == "the reply has more than 4,000,000 bytes (--max-reply-bytes)"
        assert entry["pred_text"] is None


def test_the_size_of_replies_is_an_option(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with acting(large) as server:
        assert x3(data, out, f"{server.url}/v1", limit=1, max_reply_bytes=6_000_000) == 0
    with acting(good) as server:
        assert x3(data, out, f"{server.url}/v1", fresh=True, max_reply_bytes=999) == 2
    assert results(out)[0]["pred_parsed"]["coord"] == [0.5, 0.5]


def test_an_error_of_any_length_is_its_status(data: Path, tmp_path: Path) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(400)
        handler.end_headers()
        while True:
            handler.wfile.write(b"too large " * 1000)

    out = tmp_path / "out.json"
    with acting(act) as server:
        assert x3(data, out, f"{server.url}/v1", limit=1) == 1
    (entry,) = results(out)
    assert entry["error"].startswith("HTTP 400: too large too large")
    assert len(entry["error"]) < 400


@pytest.mark.parametrize("kind", ["openai", "roborefer"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_are_not_followed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, kind: str
) -> None:
    with acting(good) as other:

        def act(handler: BaseHTTPRequestHandler) -> None:
            reply(handler, b"moved", status, Location=f"{other.url}/v1?token=abc")

        with acting(act) as server:
            arguments = command(data, tmp_path / "out.json", f"{server.url}/v1")
            if kind == "roborefer":
                arguments = ["eval", str(data), "-o", str(tmp_path / "out.json")]
                arguments += ["--model", f"roborefer-server:{server.url}"]
            assert run(arguments) == 2
    assert not other.methods
    assert set(server.methods) == {"POST"}
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert f"redirects to {other.url}/v1 (HTTP {status}), which is not followed" in line
    assert "token" not in line


def test_a_redirect_to_the_server_itself_is_not_followed_either(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with acting(lambda handler: reply(handler, b"", 301, Location="/v2/chat")) as server:
        assert x3(data, tmp_path / "out.json", f"{server.url}/v1") == 2
    assert f"redirects to {server.url}/v2/chat (HTTP 301)" in capsys.readouterr().err
    assert set(server.methods) == {"POST"}


CUSTOM = {
    "OPENAI_ORG_ID": "org-1234",
    "OPENAI_PROJECT_ID": "proj-5678",
    "OPENAI_CUSTOM_HEADERS": "X-Gateway: gate-secret-9\nAuthorization: Bearer another-1\nUser-Agent: spy\n",
    "OPENAI_ADMIN_KEY": "sk-admin-77",
}


@pytest.mark.parametrize("kind", ["openai", "roborefer"])
def test_headers_of_the_environment_do_not_go_to_other_servers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for name, value in CUSTOM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-12345")
    with acting(good) as server:
        arguments = command(data, tmp_path / "out.json", f"{server.url}/v1")
        if kind == "roborefer":
            arguments = ["eval", str(data), "-o", str(tmp_path / "out.json")]
            arguments += ["--model", f"roborefer-server:{server.url}"]
        assert run(arguments) == 0
    sent = json.dumps(server.headers)
    for text in ("org-1234", "proj-5678", "gate-secret-9", "another-1", "spy", "sk-admin-77"):
        assert text not in sent
    keys = {headers.get("authorization") for headers in server.headers}
    assert keys == {"Bearer sk-mine-12345" if kind == "openai" else None}


def test_they_go_there_by_option_and_are_redacted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CUSTOM.items():
        monkeypatch.setenv(name, value.replace("Authorization", "X-Other"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-12345")

    def act(handler: BaseHTTPRequestHandler) -> None:
        echo = f"[(0.5, 0.5)] {handler.headers['x-gateway']} {handler.headers['x-other']}"
        reply(handler, json.dumps(chat(echo)).encode())

    out = tmp_path / "out.json"
    with acting(act) as server:
        assert x3(data, out, f"{server.url}/v1", **{"openai-headers": True}) == 0
    assert {headers["openai-organization"] for headers in server.headers} == {"org-1234"}
    assert {headers["openai-project"] for headers in server.headers} == {"proj-5678"}
    assert {headers["x-gateway"] for headers in server.headers} == {"gate-secret-9"}
    assert results(out)[0]["pred_text"] == "[(0.5, 0.5)] [key] Bearer [key]"


def test_which_servers_are_openai_s_own() -> None:
    for url in (
        "https://api.openai.com/v1",
        "https://eu.api.openai.com/v1",
        "https://API.OPENAI.COM",
    ):
        assert is_openai(url), url
    for url in (
        "http://api.openai.com/v1", "https://openai.com.evil.example", "https://api.openai.com.example/v1",
        "https://xapi.openai.com/v1", "https://example.com/api.openai.com", "http://localhost:8000/v1",
    ):  # fmt: skip
        assert not is_openai(url), url


def spelt(key: str) -> dict[str, str]:
    """The key as servers may echo it, as the raw text of a JSON string."""
    every = "".join(f"\\u{ord(c):04x}" for c in key)
    plain = json.dumps(key)[1:-1]
    net = "".join(c if c.isalnum() or c in "-_." else f"\\u{ord(c):04X}" for c in key)
    nested = json.dumps(json.dumps({"key": key}))[1:-1]
    html = "".join(c if c.isalnum() else f"&#{ord(c)};" for c in key)
    hexed = "".join(c if c.isalnum() else f"&#x{ord(c):X};" for c in key)
    named = (
        key.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("+", "&plus;")
    )
    return {
        "plain": plain,
        "net": net,
        "every": every,
        "slashes": plain.replace("/", "\\/"),
        "nested": nested,
        "nested net": json.dumps(f'{{"key": "{net}"}}')[1:-1],
        "url": quote(key, safe=""),
        "url lower": quote(key, safe="").lower().replace("sk-ab", "sk-Ab").replace("yz", "yZ")
        .replace("qw", "qW").replace("q%27w", "q%27W"),
        "url twice": quote(quote(key, safe=""), safe=""),
        "html": html,
        "html hex": hexed,
        "html named": json.dumps(named)[1:-1],
        "html in net": html.replace("&", "\\u0026").replace("#", "\\u0023"),
        "url in json": quote(key, safe="").replace("%", "\\u0025"),
        "markdown": json.dumps(key.replace("_", "\\_").replace("+", "\\+"))[1:-1],
        "base64": base64.b64encode(key.encode()).decode(),
        "base64 basic": base64.b64encode(f"user:{key}".encode()).decode().replace("/", "\\/"),
        "base64 bearer": base64.urlsafe_b64encode(f"Bearer {key}!".encode()).decode(),
    }  # fmt: skip


def leaked(text: str) -> list[str]:
    """Parts of the key, plain or in base64, that are in a text in any spelling that is decoded here."""
    for _ in range(3):
        try:
            text = text.encode().decode("unicode_escape", "ignore")
        except UnicodeError:
            break
    coded = base64.b64encode(KEY.encode()).decode()
    parts = [KEY[start : start + 8] for start in range(len(KEY) - 7)]
    parts += [coded[start : start + 12] for start in range(0, 20, 4)]
    return [part for part in parts if part in text]


@pytest.mark.parametrize("where", ["answer", "error", "error body", "no json", "model"])
@pytest.mark.parametrize("name", list(spelt(KEY)))
def test_the_key_is_found_in_every_spelling(
    data: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    where: str,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    raw = f"key {spelt(KEY)[name]} end"
    whole = json.dumps(chat("[(0.5, 0.5)] @@" if where == "answer" else "[(0.5, 0.5)]"))
    said = whole.replace("@@", raw).replace(
        '"served"', f'"{raw}"' if where == "model" else '"served"'
    )
    body = {
        "answer": said,
        "model": said,
        "error": f'{{"error": {{"message": "{raw}"}}}}',
        "error body": f'{{"error": {{"message": "{raw}"}}}}',
        "no json": f"<p>{raw}",
    }[where]
    folder = tmp_path / "run"
    folder.mkdir()
    with acting(lambda h: reply(h, body.encode(), 400 if where == "error" else 200)) as server:
        x3(data, folder / "out.json", f"{server.url}/v1", limit=2, retries=0, cache=folder / "c.db")
    printed = "".join(capfd.readouterr())
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    text = (folder / "out.json").read_text()
    (first, *_) = json.loads(text)["results"]
    assert "[key]" in json.dumps([first.get(name) for name in ("pred_text", "error", "details")])
    assert not leaked(printed)
    assert not leaked(written.decode("utf-8", "replace"))


def test_a_reply_in_utf_16_is_read_and_redacted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = json.dumps(chat(f"[(0.5, 0.5)] {KEY}"))
    out = tmp_path / "out.json"
    with acting(lambda handler: reply(handler, body.encode("utf-16"))) as server:
        assert x3(data, out, f"{server.url}/v1", limit=1) == 0
    assert results(out)[0]["pred_text"] == "[(0.5, 0.5)] [key]"


def test_what_is_no_key_is_left() -> None:
    key = ApiKey("EMPTY", ())
    assert key.hide("it is EMPTY here", answer=True) == "it is EMPTY here"
    assert key.hide("it is EMPTY here") == "it is [key] here"
    assert ApiKey(None).hide("\\u002B %41 &amp;") == "\\u002B %41 &amp;"
    other = ApiKey("abcdefgh-1")
    assert other.hide("\\u0061bcdefgh-2 %61bcdefgh") == "\\u0061bcdefgh-2 %61bcdefgh"
    assert other.hide_in({"abcdefgh-1": ["x abcdefgh%2D1", 3, None]}) == {
        "[key]": ["x [key]", 3, None]
    }


def test_a_key_in_extra_body_is_found_in_escapes_too(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-12345")
    with serving() as server:
        body = '{"user": "sk\\u002dmine-12345"}'
        assert x3(data, tmp_path / "out.json", server.base, **{"extra-body": body}) == 2
    assert "--extra-body: holds the API key" in capsys.readouterr().err
    assert text_of(1)


@pytest.mark.parametrize(
    "text", ["\\" * 1_000_000, "%25" * 300_000, "&amp;" * 200_000, "&#0" * 300_000]
)
def test_a_long_run_of_escapes_takes_no_long_time(text: str) -> None:
    begun = time.monotonic()
    ApiKey(KEY).hide(text)
    assert time.monotonic() - begun < 20
