"""Errors of a request, and which of them a retry can fix."""

from __future__ import annotations

import json
import re
from typing import Any

from x3spatial.errors import UserError

_AGAIN = frozenset({408, 409, 425, 429})
_NEVER = frozenset({501, 505})
_OVERLOADED = frozenset({429, 503, 529})
_WRONG_KEY = frozenset({401, 402, 403})
_WRONG_ADDRESS = frozenset({404, 405, 410})
_LONGEST_MESSAGE = 300
_IMAGE = re.compile(r"image|media.?type|mime|webp|jpe?g", re.IGNORECASE)
_UNREAD = re.compile(
    r"cannot|can't|could not|couldn't|unable|failed|invalid|not (?:a )?valid|unsupported|not supported"
    r"|unknown|unrecogni|corrupt|decod|malformed",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"at most|too (?:many|large|big|long)|exceed|limit|download|mmproj|multi-?modal|image input is not"
    r"|(?:not|n't) support(?: any)? (?:image|vision)|image_url is only",
    re.IGNORECASE,
)


class Fault(Exception):
    """A failed attempt; the message is for the user."""

    def __init__(
        self,
        message: str,
        *,
        again: bool = True,
        overloaded: bool = False,
        unreachable: bool = False,
        unreadable_image: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.again = again
        """Whether a retry may succeed."""
        self.overloaded = overloaded
        """Whether the server is overloaded: fewer concurrent requests from now on."""
        self.unreachable = unreachable
        """Whether the server is unreachable."""
        self.unreadable_image = unreadable_image
        """Whether the server says that it cannot read an image: another format may help."""
        self.retry_after = retry_after
        """Seconds after which the server allows a retry."""


class Stop(UserError):
    """An error that neither a retry nor another question can fix; it ends the run."""


def status_fault(
    status: int,
    body: bytes | str,
    *,
    where: str,
    retry_after: float | None = None,
    target: str | None = None,
) -> Fault | Stop:
    """The error that an HTTP status other than 2xx means.

    Redirects are not followed, because images and prompts would be sent to a server that the user did not
    name. They, 401, 402 and 403 (a wrong key) and 404, 405 and 410 (a wrong address or model) concern every
    question and stop the run; so does an exhausted quota. Time-outs, rate limits and server errors are
    retried; any other status concerns this question only.
    """
    reason = error_message(body)
    message = f"HTTP {status}" + (f": {reason}" if reason else "")
    if target is not None:
        return Stop(
            f"{where}: redirects to {target} (HTTP {status}), which is not followed; if that server is"
            " meant, name its address"
        )
    if status in _WRONG_KEY:
        return Stop(
            f"{where}: the server refuses: {message}; is the key right (the environment's OPENAI_API_KEY,"
            " or --api-key-env)?"
        )
    if status in _WRONG_ADDRESS:
        return Stop(
            f"{where}: no such address or model: {message}; is the URL right (for most servers it ends in"
            " /v1), and the model's name as the server has it?"
        )
    if status == 429 and _code(body) == "insufficient_quota":
        return Stop(f"{where}: the quota is used up: {message}; the same command continues later")
    return Fault(
        message,
        again=status in _AGAIN or (status >= 500 and status not in _NEVER),
        overloaded=status in _OVERLOADED,
        unreadable_image=cannot_read_image(reason),
        retry_after=retry_after,
    )


def cannot_read_image(message: str) -> bool:
    """Whether an error message says that an image cannot be read, in the words of the servers known to us.

    "Failed to load image or audio file" (llama.cpp), "cannot identify image file" (vLLM, SGLang), "image:
    unknown format" (Ollama), "unsupported image" (OpenAI), "Could not process image", "invalid image". Too
    many or too large images, and models without image input, are other errors.
    """
    return bool(_IMAGE.search(message) and _UNREAD.search(message) and not _OTHER.search(message))


def error_message(body: bytes | str) -> str:
    """The message in an error's body, on one line, shortened; empty if there is none."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(name):
            value = value[name]
    if isinstance(value, str):
        text = value
    return shortened(text)


def shortened(text: str) -> str:
    """``text`` on one line, cut where it is long."""
    # Limited first: a body may be an error page of megabytes.
    text = " ".join(text[: 20 * _LONGEST_MESSAGE].split())
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."


def _code(body: bytes | str) -> Any:
    try:
        return json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
