"""The options that all kinds of servers share, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from x3spatial.errors import UserError, flag
from x3spatial.models.choices import IMAGE_FORMATS

OPTIONS = frozenset(
    {
        "base_url", "cache", "concurrency", "image_format", "max_image_bytes", "max_image_pixels",
        "max_reply_bytes", "retries", "timeout",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is queried. Only ``seed`` and the image limits affect the answers."""

    urls: tuple[str, ...]
    concurrency: int = 16
    """Most concurrent requests, over all servers."""
    timeout: float = 120.0
    """Seconds for one request."""
    retries: int = 5
    """Attempts after the first one."""
    max_image_pixels: int | None = None
    max_image_bytes: int = 20_000_000
    """Of the encoded image; base64 adds a third."""
    image_format: str = IMAGE_FORMATS[0]
    max_reply_bytes: int = 4_000_000
    """Of a reply, decompressed: room for a million tokens of reasoning."""
    cache: Path | None = None
    max_new_tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.urls:
            raise UserError("--base-url: name the server, for example http://localhost:8000/v1")
        for url in self.urls:
            check_url(url)
        if len(set(self.urls)) < len(self.urls):
            raise UserError("--base-url: the same server is named twice")
        for name, least in (
            ("concurrency", 1),
            ("retries", 0),
            ("max_image_bytes", 1000),
            ("max_reply_bytes", 1000),
        ):
            value = getattr(self, name)
            if value < least:
                raise UserError(f"{flag(name)} {value}: must be at least {least}")
        if not 0 < self.timeout < float("inf"):
            raise UserError(f"--timeout {self.timeout:g}: must be more than 0 seconds")
        if self.image_format not in IMAGE_FORMATS:
            raise UserError(
                f"--image-format {self.image_format}: must be one of {', '.join(IMAGE_FORMATS)}"
            )
        if self.max_image_pixels is not None and self.max_image_pixels < 28 * 28:
            raise UserError(
                f"--max-image-pixels {self.max_image_pixels}: must be at least {28 * 28}"
            )

    @classmethod
    def of(cls, options: Mapping[str, Any], first_url: str | None = None) -> Settings:
        """Settings from the options of the command line.

        Raises:
            UserError: a value is out of range, or there is no server or an invalid URL.
        """
        given = {name: options[name] for name in OPTIONS - {"base_url"} if name in options}
        for name in ("max_new_tokens", "seed"):
            if name in options:
                given[name] = int(options[name])
        if "cache" in given:
            given["cache"] = Path(given["cache"])
        urls = options.get("base_url", ())
        urls = [urls] if isinstance(urls, str) else list(urls)
        if first_url is not None:
            urls.insert(0, first_url)
        return cls(tuple(url.rstrip("/") for url in urls), **given)


def check_url(url: str) -> None:
    """Refuse a text that is not the address of a server.

    Raises:
        UserError: the address is wrong; a password in it is not repeated.
    """
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
        has_secret = bool(parts.username or parts.password or parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        fine = has_secret = False
    if has_secret:
        raise UserError(
            "--base-url: has a user, a password or a ?query in it; keys belong in the environment"
            " (--api-key-env), options of the server in --extra-body"
        )
    if fine and parts.path.endswith(("/chat/completions", "/query")):
        raise UserError(f"--base-url {url}: leave its last part out, it is added to each request")
    if not fine:
        raise UserError(
            f"--base-url {url}: not the URL of a server, such as http://localhost:8000/v1"
        )


def read_extra_body(text: str | None, forbidden: Sequence[str]) -> dict[str, Any]:
    """``--extra-body``: fields of the request, as a JSON object.

    Raises:
        UserError: it is not a JSON object, or sets a reserved field.
    """
    if text is None:
        return {}
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise UserError(f"--extra-body: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError('--extra-body: must be a JSON object, such as {"top_k": 1}')
    for name in forbidden:
        if name in value:
            raise UserError(f"--extra-body: cannot override {name!r}")
    return value
