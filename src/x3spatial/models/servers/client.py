"""The HTTP client: redirects are not followed, replies have a size limit, headers are ours."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import httpx2

from x3spatial import __version__
from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.faults import Fault

_OPENAI = "api.openai.com"
_KEPT_HEADERS = frozenset({"host", "content-length", "transfer-encoding"})
CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
"""The environment variable from which OpenAI's client takes further headers, one a line."""


def is_openai(url: str) -> bool:
    """Whether ``url`` is OpenAI's own service, or one of its regions, over TLS."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "https" and (host == _OPENAI or host.endswith(f".{_OPENAI}"))


def secrets_of_headers() -> list[str]:
    """The words of the custom headers in the environment that may be secrets."""
    lines = os.environ.get(CUSTOM_HEADERS, "").splitlines()
    return [word for line in lines for word in line.partition(":")[2].split() if len(word) >= 8]


class BoundedClient(httpx2.AsyncClient):
    """A client for one server.

    The official OpenAI client, which uses it, follows redirects, holds replies of any size, and adds headers
    from environment variables that are meant for OpenAI: none of this is wanted with other servers.

    Args:
        api_key: sent as a bearer token; no such header without one.
        max_reply_bytes: the largest reply, after decompression.
        environment_headers: keep the headers that OpenAI's client takes from the environment.
    """

    def __init__(
        self, api_key: ApiKey, max_reply_bytes: int, *, environment_headers: bool, **options: Any
    ) -> None:
        super().__init__(follow_redirects=False, **options)
        self._api_key = api_key
        self._max_reply_bytes = max_reply_bytes
        self._environment_headers = environment_headers

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and read its reply.

        Raises:
            Fault: the reply has more than ``max_reply_bytes``.
        """
        if not self._environment_headers:
            request.headers = self._own_headers(request)
        options |= {"stream": True, "follow_redirects": False}
        response = await super().send(request, **options)
        try:
            body = await self._body(response)
        finally:
            await response.aclose()
        # The body is decompressed already.
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    async def _body(self, response: httpx2.Response) -> bytes:
        """The decompressed body; of an error that is too long, its beginning."""
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_reply_bytes:
                if not response.is_success:
                    return bytes(body[: self._max_reply_bytes])
                raise Fault(
                    f"the reply has more than {self._max_reply_bytes:,} bytes (--max-reply-bytes)",
                    again=False,
                )
        return bytes(body)

    def _own_headers(self, request: httpx2.Request) -> httpx2.Headers:
        """The headers of a request, written here: custom ones may replace any that the client writes."""
        headers = {name: v for name, v in request.headers.items() if name.lower() in _KEPT_HEADERS}
        headers |= {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            "User-Agent": f"x3spatial/{__version__}",
        }
        key = self._api_key.reveal()
        return httpx2.Headers(
            headers if key is None else {**headers, "Authorization": f"Bearer {key}"}
        )
