"""Servers that read only some formats of images, and what they are sent instead."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.hostile_server import acting, reply
from helpers.server_common import chat, results, text_of, x3
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.io.images import decode_rgb
from x3spatial.models.servers import retrying

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def task_file(folder: Path, format: str, mode: str = "RGB") -> Path:
    """One sample, whose query image is stored in ``format``."""
    record = make_record(folder, "01", box_mask(32, 24, 4, 5, 11, 10))
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = Path(record.images[1]).with_suffix(f".{format.lower()}")
    Image.fromarray(pixels).convert(mode).save(path, format)
    changed = replace(record, image=(record.images[0], str(path)), query_original=str(path))
    return write_set(folder / "t.json", [changed])


class Picky:
    """A server that reads the given media types; the images of each request."""

    def __init__(
        self, *reads: str, status: int = 400, message: str = "Failed to load image"
    ) -> None:
        self.reads = reads
        self.status = status
        self.message = message
        self.asked: list[list[tuple[str, bytes]]] = []

    def __call__(self, handler: Any) -> None:
        body = json.loads(handler.body)
        parts = body["messages"][0]["content"]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        images = [
            (url[5:].partition(";")[0], base64.b64decode(url.partition(",")[2])) for url in urls
        ]
        self.asked.append(images)
        if all(kind in self.reads for kind, _ in images):
            reply(handler, json.dumps(chat(text_of(7))).encode())
        else:
            error = {"error": {"message": self.message, "code": self.status}}
            reply(handler, json.dumps(error).encode(), self.status)


@pytest.mark.parametrize("format", ["WEBP", "GIF", "BMP", "TIFF"])
def test_formats_that_few_servers_read_are_sent_as_png(tmp_path: Path, format: str) -> None:
    data = task_file(tmp_path, format)
    server = Picky("image/png", "image/jpeg")
    with acting(server) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1") == 0
    (sent,) = server.asked
    (entry,) = results(tmp_path / "out.json")
    assert entry["details"]["images"][1] == {
        "sent": [32, 24], "format": "png", "bytes": len(sent[1][1]), "reencoded": True, "resized": False,
        "file": format.lower(),
    }  # fmt: skip
    stored = Path(tmp_path / "train/s0/uid_1").glob(f"*.{format.lower()}")
    assert np.array_equal(decode_rgb(sent[1][1]), decode_rgb(next(stored).read_bytes()))
    settings = json.loads((tmp_path / "out.json").read_text())["settings"]
    assert settings["describe"]["image_format"] == "auto"


@pytest.mark.parametrize("status", [400, 415, 422, 500])
@pytest.mark.parametrize(("format", "choice"), [("WEBP", "original"), ("JPEG", "auto")])
def test_a_server_that_cannot_read_an_image_is_sent_it_as_png_once(
    tmp_path: Path, format: str, choice: str, status: int
) -> None:
    data = task_file(tmp_path, format)
    server = Picky("image/png", status=status)
    options = {"image-format": choice, "retries": 0, "cache": tmp_path / "cache.db"}
    with acting(server) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1", **options) == 0
        assert [[kind for kind, _ in images] for images in server.asked] == [
            ["image/png", f"image/{format.lower()}"], ["image/png", "image/png"],
        ]  # fmt: skip
        (entry,) = results(tmp_path / "out.json")
        assert entry["pred_text"] == text_of(7)
        assert entry["details"]["images"][1]["format"] == "png"
        assert entry["details"]["images"][1]["file"] == format.lower()
        assert entry["details"]["attempts"] == 2
        # The cache says what was sent, too.
        assert x3(data, tmp_path / "again.json", f"{http.url}/v1", **options) == 0
        assert len(server.asked) == 2
        (again,) = results(tmp_path / "again.json")
        assert again["details"]["images"] == entry["details"]["images"]
    first, second = server.asked
    assert np.array_equal(decode_rgb(first[1][1]), decode_rgb(second[1][1]))


def test_an_image_that_no_format_makes_readable_is_an_error(tmp_path: Path) -> None:
    data = task_file(tmp_path, "JPEG")
    server = Picky(message="cannot identify image file")
    with acting(server) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1") == 1
    assert len(server.asked) == 2
    (entry,) = results(tmp_path / "out.json")
    assert entry["error"] == "HTTP 400: cannot identify image file (2 attempts) (as PNG, too)"


@pytest.mark.parametrize(
    "message", ["At most 1 image(s) may be provided", "image input is not supported"]
)
def test_other_errors_are_not_asked_again(tmp_path: Path, message: str) -> None:
    data = task_file(tmp_path, "JPEG")
    server = Picky(message=message)
    with acting(server) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1") == 1
    assert len(server.asked) == 1


def test_png_files_are_not_sent_twice(tmp_path: Path) -> None:
    data = task_file(tmp_path, "PNG")
    server = Picky()
    with acting(server) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1") == 1
    assert len(server.asked) == 1


def test_everything_as_png_by_option(tmp_path: Path) -> None:
    data = task_file(tmp_path, "JPEG")
    server = Picky("image/png")
    with acting(server) as http:
        url = f"{http.url}/v1"
        assert x3(data, tmp_path / "out.json", url, **{"image-format": "png"}) == 0
        assert len(server.asked) == 1
        assert x3(data, tmp_path / "other.json", url, **{"image-format": "bmp"}) == 2
    settings = json.loads((tmp_path / "out.json").read_text())["settings"]
    assert settings["describe"]["image_format"] == "png"


ANSWER = "[(0.5, 0.5)]"
THOUGHT = "maybe NOT_VISIBLE, maybe [(0.1, 0.1)]"
REASONED = {
    "vllm": chat(ANSWER, reasoning_content=THOUGHT),
    "vllm new": chat(ANSWER, reasoning=THOUGHT),
    "openrouter": chat(ANSWER, reasoning=THOUGHT, reasoning_details=[{"type": "x", "text": THOUGHT}]),
    "litellm": chat(ANSWER, thinking_blocks=[{"type": "thinking", "thinking": THOUGHT}]),
    "ollama": chat(ANSWER, thinking=THOUGHT),
    "anthropic": chat([{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]),
    "redacted": chat([{"type": "redacted_thinking", "data": THOUGHT}, {"type": "text", "text": ANSWER}]),
    "mistral": chat(
        [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
         {"type": "text", "text": ANSWER}]
    ),
    "google": chat([{"text": THOUGHT, "thought": True}, {"text": ANSWER}]),
    "responses": chat(
        [{"type": "reasoning", "text": THOUGHT, "summary": [{"type": "summary_text", "text": THOUGHT}]},
         {"type": "output_text", "text": ANSWER}]
    ),
    "reasoning text": chat([{"type": "reasoning_text", "text": THOUGHT}, {"type": "text", "text": ANSWER}]),
    "in tags": chat(f"<think>{THOUGHT}</think>{ANSWER}"),
}  # fmt: skip


@pytest.mark.parametrize("server", list(REASONED))
def test_reasoning_is_never_the_answer(tmp_path: Path, server: str) -> None:
    data = task_file(tmp_path, "PNG")
    whole = REASONED[server]
    with acting(lambda handler: reply(handler, json.dumps(whole).encode())) as http:
        assert x3(data, tmp_path / "out.json", f"{http.url}/v1") == 0
    (entry,) = results(tmp_path / "out.json")
    assert entry["pred_parsed"] == {"is_not_visible": False, "coord": [0.5, 0.5]}
    assert entry["contradictory"] is False


@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize(
    "message",
    [
        chat(None, reasoning_content=ANSWER), chat("", reasoning=ANSWER), chat(" \n", thinking=ANSWER),
        chat([{"type": "thinking", "thinking": ANSWER}]), chat([{"text": ANSWER, "thought": True}]),
        chat(None, reasoning_details=[{"text": ANSWER}]),
    ],
)  # fmt: skip
def test_reasoning_alone_is_no_answer(tmp_path: Path, message: dict[str, Any], finish: str) -> None:
    data = task_file(tmp_path, "PNG")
    choice = {**message["choices"][0], "finish_reason": finish}
    body = json.dumps({**message, "choices": [choice]}).encode()
    out = tmp_path / "out.json"
    with acting(lambda handler: reply(handler, body)) as http:
        assert x3(data, out, f"{http.url}/v1", retries=1) == 1
    (entry,) = results(out)
    assert entry["pred_text"] is None
    assert ("--max-new-tokens" if finish == "length" else "content is empty") in entry["error"]


@pytest.mark.parametrize(
    "finish", ["length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens"]
)
def test_answers_that_the_token_limit_ended_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finish: str
) -> None:
    data = task_file(tmp_path, "PNG")
    out = tmp_path / "out.json"
    whole = chat("First I compare the two images, and", finish)
    with acting(lambda handler: reply(handler, json.dumps(whole).encode())) as http:
        assert x3(data, out, f"{http.url}/v1") == 0
    assert json.loads(out.read_text())["metrics"]["cut_off"] == 1
    assert "--max-new-tokens" in capsys.readouterr().err
    # Without any message, as some gateways do.
    nothing = {"choices": [{"index": 0, "finish_reason": finish}]}
    with acting(lambda handler: reply(handler, json.dumps(nothing).encode())) as http:
        assert x3(data, out, f"{http.url}/v1", fresh=True) == 1
        assert len(http.methods) == 1
