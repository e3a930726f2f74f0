"""The parts of asking a server: windows, waits, hosts, pictures, the cache."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from x3spatial.errors import UserError
from x3spatial.io.images import ImageError, decode_rgb
from x3spatial.models.servers import images
from x3spatial.models.servers.cache import AnswerCache, cache_key
from x3spatial.models.servers.concurrency import ConcurrencyLimit
from x3spatial.models.servers.faults import Fault, cannot_read_image, status_fault
from x3spatial.models.servers.hosts import Hosts
from x3spatial.models.servers.images import ImageCache, ImageLimits, encode_image
from x3spatial.models.servers.parsing import parse_chat, parse_roborefer
from x3spatial.models.servers.retrying import (
    LONGEST_RETRY_AFTER,
    LONGEST_SECONDS,
    Backoff,
    parse_retry_after,
)

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_a_window_stays_within_its_bounds(bound: int, events: list[bool]) -> None:
    limit = ConcurrencyLimit(bound)
    assert limit.allowed == bound
    for at, well in enumerate(events):
        before = limit.allowed
        if well:
            limit.succeeded()
            assert before <= limit.allowed <= min(bound, before + 1)
        else:
            limit.overloaded(sent=at, now=at + 0.5)
            assert max(1, before // 2) <= limit.allowed <= max(1, (before + 1) // 2)


def test_requests_that_fail_together_count_once_and_the_window_grows_back() -> None:
    limit = ConcurrencyLimit(16)
    for _ in range(16):
        limit.overloaded(sent=1.0, now=2.0)
    assert limit.allowed == 8
    limit.overloaded(sent=2.5, now=3.0)
    assert limit.allowed == 4
    answered = 0
    while limit.allowed < 16:
        limit.succeeded()
        answered += 1
    assert 12 * 5 < answered < 12 * 16  # about one more for each round of as many as fit


@given(st.floats(0, 1e6))
def test_retry_after_in_seconds(seconds: float) -> None:
    assert parse_retry_after(f" {seconds!r} ") == min(seconds, LONGEST_RETRY_AFTER)


@given(st.integers(-100_000, 100_000))
def test_retry_after_as_a_date(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, NOW) == min(max(seconds, 0), LONGEST_RETRY_AFTER)


@given(st.text(max_size=40))
def test_any_retry_after_is_none_or_a_sane_wait(header: str) -> None:
    wait = parse_retry_after(header, NOW)
    assert wait is None or 0 <= wait <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "Fri, 99 Foo 2025 25:00:00 GMT"])
def test_no_retry_after(header: str | None) -> None:
    assert parse_retry_after(header, NOW) is None


@given(st.integers(0, 99), st.text(max_size=9), st.floats(0, 120))
def test_waits_are_drawn_by_seed_and_sample(seed: int, id: str, asked: float) -> None:
    once, again = Backoff(seed, id), Backoff(seed, id)
    for attempt in range(1, 60):
        wait = once.wait(attempt, None)
        assert wait == again.wait(attempt, None)
        assert 0 <= wait <= min(LONGEST_SECONDS, 0.5 * 2.0 ** (attempt - 1))
    assert once.wait(1, asked) >= asked
    assert once.wait(1, asked) <= asked + 0.5


def test_waits_differ_between_samples() -> None:
    assert len({Backoff(0, str(n)).wait(4, None) for n in range(50)}) == 50


def test_the_least_busy_host_that_is_up() -> None:
    time = [100.0]

    async def main() -> None:
        hosts = Hosts(["a", "b"], 4, clock=lambda: time[0])
        async with hosts.lease() as one, hosts.lease() as two, hosts.lease(one.host) as three:
            assert [lease.host.url for lease in (one, two, three)] == ["a", "b", "b"]
            one.unreachable()
            async with hosts.lease(two.host) as four:
                assert four.host.url == "b"  # the other one is out
                fifth = asyncio.ensure_future(_url(hosts))
                await asyncio.sleep(0)
                assert not fifth.done()  # four are under way
            assert await fifth == "b"
        time[0] += 1.5
        assert await _url(hosts) == "a"  # tried again after a while
        async with hosts.lease(hosts.all[1]) as lease:
            lease.unreachable()
        time[0] += 1.5
        assert await _url(hosts) == "b"  # out for twice as long
        for host in hosts.all:
            host.out_until = time[0] + 9
        assert await _url(hosts) in "ab"  # all are out: better one of them than nobody

    asyncio.run(main())


async def _url(hosts: Hosts) -> str:
    async with hosts.lease() as lease:
        return lease.host.url


def test_a_host_that_asks_for_it_is_left_alone() -> None:
    time = [0.0]

    async def main() -> None:
        hosts = Hosts(["a"], 4, clock=lambda: time[0])
        async with hosts.lease() as lease:
            lease.pause(0.05)
        waiting = asyncio.ensure_future(_url(hosts))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        time[0] = 1.0
        assert await waiting == "a"

    asyncio.run(main())


def encoded(pixels: np.ndarray[Any, Any], format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def picture(width: int = 64, height: int = 48, channels: int = 3) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(width)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


LIMITS = ImageLimits(max_bytes=10_000_000)


@pytest.mark.parametrize(
    ("format", "choice"),
    [("PNG", "auto"), ("JPEG", "auto"), ("PNG", "png"), ("PNG", "original"), ("JPEG", "original"),
     ("WEBP", "original")],
)  # fmt: skip
def test_files_that_servers_read_are_sent_as_they_are(format: str, choice: str) -> None:
    data = encoded(picture(), format)
    sent = encode_image(data, replace(LIMITS, format=choice))
    assert sent.url.startswith(f"data:image/{format.lower()};base64,")
    assert sent.details == {
        "sent": [64, 48], "format": format.lower(), "bytes": len(data), "reencoded": False, "resized": False,
    }  # fmt: skip


def encode_png16() -> bytes:
    pixels = picture().astype(np.uint16) * 257
    done, data = cv2.imencode(".png", pixels)
    assert done
    return bytes(data)


def converted(mode: str, format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(file, format)
    return file.getvalue()


def _oriented() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(), "JPEG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        encoded(picture(), "BMP"),
        encoded(picture(channels=4), "PNG"),
        encoded(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20, "PNG"),
        _oriented(),
        encoded(picture(), "WEBP", quality=80),
        encoded(picture(), "GIF"),
        encoded(picture(), "TIFF"),
        encode_png16(),
        converted("CMYK", "JPEG"),
        converted("P", "PNG"),
        converted("LA", "PNG"),
        converted("1", "PNG"),
        converted("1", "BMP"),
        converted("P", "GIF"),
    ],
    ids=["bmp", "alpha", "16 bit", "turned", "webp", "gif", "tiff", "16 bit colour", "cmyk", "palette",
         "grey alpha", "1 bit", "1 bit bmp", "gif palette"],
)  # fmt: skip
def test_what_servers_would_read_in_their_own_ways_is_encoded_anew(data: bytes) -> None:
    sent = encode_image(data, LIMITS)
    assert (sent.size, sent.details["reencoded"], sent.details["resized"]) == (
        (64, 48),
        True,
        False,
    )
    assert sent.details["format"] == "png"
    assert sent.details["file"] in ("bmp", "png", "jpeg", "webp", "gif", "tiff")
    assert encode_image(data, LIMITS) == sent  # the same bytes every time
    pixels = np.asarray(Image.open(io.BytesIO(_bytes(sent))))
    assert np.array_equal(pixels, decode_rgb(data))


def test_every_file_is_sent_as_png_by_option() -> None:
    data = encoded(picture(), "JPEG")
    sent = encode_image(data, replace(LIMITS, format="png"))
    assert (sent.details["format"], sent.details["reencoded"]) == ("png", True)
    assert np.array_equal(decode_rgb(_bytes(sent)), decode_rgb(data))
    large = encode_image(encoded(picture(640, 480), "PNG"), ImageLimits(200_000, format="png"))
    assert (large.details["format"], large.details["resized"]) == ("png", True)
    assert len(_bytes(large)) <= 200_000


def _bytes(sent: images.EncodedImage) -> bytes:
    import base64

    return base64.b64decode(sent.base64)


def test_too_many_bytes() -> None:
    data = encoded(picture(640, 480), "PNG")
    sizes = []
    for most in (500_000, 200_000, 30_000):
        sent = encode_image(data, ImageLimits(max_bytes=most))
        assert len(_bytes(sent)) == sent.details["bytes"] <= most
        assert sent.details["format"] == "jpeg"
        width, height = sent.size
        assert abs(width / height - 4 / 3) < 0.02
        sizes.append(width)
    assert sizes[0] == 640 > sizes[-1]
    with pytest.raises(ImageError, match="--max-image-bytes"):
        encode_image(data, ImageLimits(max_bytes=300))
    # Where the size is the model's own, it stays.
    fixed = ImageLimits(max_bytes=30_000, resized=lambda size: (560, 420))
    with pytest.raises(ImageError, match="--max-image-bytes"):
        encode_image(data, fixed)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(784, 10**6))
def test_too_many_pixels(width: int, height: int, most: int) -> None:
    sent = ImageLimits(10**9, max_pixels=most).size((width, height))
    assert sent == (width, height) if width * height <= most else sent[0] * sent[1] <= most
    assert min(sent) >= 1


@pytest.mark.parametrize("data", [b"x", b"\x89PNG\r\n\x1a\n", encoded(picture(), "PNG")[:-20]])
def test_no_images(data: bytes) -> None:
    with pytest.raises(ImageError):
        encode_image(data, LIMITS)


def test_each_file_is_encoded_once_while_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = encode_image

    def counted(data: bytes, limits: ImageLimits) -> images.EncodedImage:
        made.append(len(data))
        return real(data, limits)

    monkeypatch.setattr(images, "encode_image", counted)
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(picture(60 + number), "PNG"))
    pictures = ImageCache(LIMITS)
    threads = [threading.Thread(target=pictures.get, args=(paths[n % 4],)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    paths[0].write_bytes(encoded(picture(90), "PNG"))
    assert pictures.get(paths[0]).size == (90, 48)  # another file under the same name

    made.clear()
    one = len(pictures.get(paths[1]).url)
    little = ImageCache(LIMITS, kept_bytes=2 * one)
    for _ in range(3):
        for path in paths:
            little.get(path)
    assert len(made) == 12  # no room for four in a circle
    with pytest.raises(ImageError):
        little.get(tmp_path / "none.png")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "error", "code", "type", "text", "refusal", "finish_reason",
             "usage", "model", "object", "answer"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values, st.integers(0, 60))
def test_any_reply_is_an_answer_or_a_fault(value: Any, cut: int) -> None:
    for content in (json.dumps(value).encode(), json.dumps(value).encode()[:cut]):
        for read in (parse_chat, parse_roborefer):
            try:
                reading = read(content)
            except Fault as fault:
                assert str(fault)
            else:
                assert reading.text.strip()
                json.dumps(reading.details, allow_nan=False).encode()
        for status in (400, 401, 404, 429, 500):
            assert str(status) in str(status_fault(status, content, where="there"))


def test_replies_of_absurd_depth() -> None:
    content = b"[" * 200_000
    with pytest.raises(Fault, match="not JSON"):
        parse_chat(content)
    assert str(status_fault(500, content, where="there")).startswith("HTTP 500: [[[")


@pytest.mark.parametrize(
    ("message", "reads"),
    [
        ("Failed to load image or audio file", False),
        ("cannot identify image file <_io.BytesIO object at 0x7f>", False),
        ("image: unknown format", False),
        (
            "You uploaded an unsupported image. Please make sure your image has one of the formats",
            False,
        ),
        ("Could not process image", False),
        ("Unsupported media type: image/webp", False),
        ("messages.0.content.0.image.source: invalid base64 image data", False),
        ("image input is not supported - hint: you may need to provide the mmproj", True),
        ("At most 1 image(s) may be provided in one prompt.", True),
        ("image exceeds 5 MB maximum", True),
        ("This model does not support images", True),
        ("Failed to download image from https://example.com", True),
        ("Unsupported value: 'temperature' does not support 0 with this model.", True),
        ("", True),
    ],
)
def test_what_says_that_an_image_cannot_be_read(message: str, reads: bool) -> None:
    assert cannot_read_image(message) is not reads
    body = json.dumps({"error": {"message": message}})
    fault = status_fault(400, body, where="there")
    assert isinstance(fault, Fault)
    assert fault.unreadable_image is not reads


def test_cache_keys() -> None:
    keys = {
        cache_key({"model": model}, prompt, sent)
        for model in "ab"
        for prompt in ("", "p")
        for sent in ([], ["1"], ["1", "2"], ["2", "1"])
    }
    assert len(keys) == 16


def test_a_cache_keeps_the_first_answer(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with AnswerCache(path) as cache:
        assert cache.get("k") is None
        cache.put("k", {"text": "é \ud800"})
        cache.put("k", {"text": "other"})
    with AnswerCache(path) as cache:
        assert cache.get("k") == {"text": "é \ud800"}


_WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from x3spatial.models.servers.cache import AnswerCache
with AnswerCache(Path(sys.argv[1])) as cache, ThreadPoolExecutor(4) as pool:
    def work(number):
        cache.put(f"{sys.argv[2]}-{number}", {"text": str(number)})
        cache.put(f"common-{number}", {"text": str(number)})
        assert cache.get(f"common-{number}") == {"text": str(number)}
    list(pool.map(work, range(100)))
"""


def test_threads_and_processes_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(number)])
        for number in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    with AnswerCache(path) as cache:
        for number in range(100):
            for name in ("0", "1", "2", "3", "common"):
                assert cache.get(f"{name}-{number}") == {"text": str(number)}


def _foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.commit()
    connection.close()


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("my notes, not a database\n" * 50)


def _torn(path: Path) -> None:
    with AnswerCache(path) as cache:
        for number in range(200):
            cache.put(str(number), {"text": "x" * 200})
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [_foreign_database, _folder, _text, _torn])
def test_files_that_are_no_cache_are_refused_and_left_alone(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "file"
    spoil(path)
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(UserError, match=f"^--cache {path}: ") as error:
        cache = AnswerCache(path)
        try:
            for number in range(200):
                cache.get(str(number))
        finally:
            cache.close()
    assert "\n" not in str(error.value)
    assert before is None or path.read_bytes() == before


def test_a_cache_in_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        AnswerCache(tmp_path / "none" / "file")
