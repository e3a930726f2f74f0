"""HTTP through the official OpenAI client, also for servers with another API.

The client's own retries are off: attempts are counted, and waits decided, in one place (``model``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import httpx2
import openai

from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.client import BoundedClient, is_openai
from x3spatial.models.servers.faults import Fault, shortened, status_fault
from x3spatial.models.servers.hosts import Host
from x3spatial.models.servers.retrying import parse_retry_after

_CONNECT_SECONDS = 10.0


class Transport:
    """Posts JSON to hosts. For use within one event loop.

    Args:
        timeout: seconds for one request, from connecting to the last byte of the reply.
        api_key: sent as a bearer token; no such header without one.
        max_reply_bytes: the largest reply, after decompression.
        environment_headers: send the headers that OpenAI's client takes from the environment to any server;
            otherwise only OpenAI's own is sent them.
    """

    def __init__(
        self,
        timeout: float,
        api_key: ApiKey,
        *,
        max_reply_bytes: int,
        environment_headers: bool = False,
    ) -> None:
        self._timeout = timeout
        self._api_key = api_key
        self._max_reply_bytes = max_reply_bytes
        self._environment_headers = environment_headers
        self._clients: dict[str, openai.AsyncOpenAI] = {}

    async def post(self, host: Host, path: str, body: Mapping[str, Any]) -> str:
        """The body of a reply with status 2xx, with the API key redacted.

        Raises:
            Fault: no reply, one that is too large or is no text, or another status.
            Stop: a status that a retry cannot fix.
        """
        try:
            # In addition to the client's time-outs, which a slow stream of bytes never triggers.
            async with asyncio.timeout(self._timeout):
                response = await self._client(host.url).post(
                    path,
                    cast_to=httpx2.Response,
                    body=body,
                    options={} if self._api_key.reveal() else {"headers": _no_authorization()},
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            if any(isinstance(cause, httpx2.ConnectTimeout) for cause in _causes(error)):
                raise Fault(f"{host.url}: the server does not answer", unreachable=True) from None
            raise Fault(f"no answer within {self._timeout:g} s", overloaded=True) from None
        except openai.APIStatusError as error:
            response = error.response
            raise status_fault(
                response.status_code,
                self._api_key.hide_in_reply(decoded(response.content, "replace")),
                where=f"--base-url {host.url}",
                retry_after=parse_retry_after(response.headers.get("retry-after")),
                target=_target(response),
            ) from None
        except openai.APIConnectionError as error:
            raise _connection_fault(host.url, error) from None
        try:
            text = decoded(response.content)
        except UnicodeDecodeError:
            raise Fault("the reply is not JSON: its text is not UTF-8") from None
        return self._api_key.hide_in_reply(text, answer=True)

    def _client(self, url: str) -> openai.AsyncOpenAI:
        if url not in self._clients:
            timeout = httpx2.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))
            self._clients[url] = openai.AsyncOpenAI(
                base_url=url,
                # Required by the client; without a key the header is left out of each request.
                api_key=self._api_key.reveal() or "none",
                max_retries=0,
                timeout=timeout,
                http_client=BoundedClient(
                    self._api_key,
                    self._max_reply_bytes,
                    environment_headers=self._environment_headers or is_openai(url),
                    timeout=timeout,
                    limits=openai.DEFAULT_CONNECTION_LIMITS,
                ),
            )
        return self._clients[url]

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()


def _no_authorization() -> dict[str, Any]:
    return {"Authorization": openai.Omit()}


def decoded(body: bytes, errors: str = "surrogatepass") -> str:
    """The text of a reply, UTF-8, or UTF-16 or UTF-32 as JSON's reader recognises them.

    Raises:
        UnicodeDecodeError: it is none of these.
    """
    return body.decode(json.detect_encoding(body), errors)


def _target(response: httpx2.Response) -> str | None:
    """The address that a redirect leads to; None if the reply is none."""
    location = response.headers.get("location")
    if not 300 <= response.status_code < 400 or not location:
        return None
    try:
        return shortened(urljoin(str(response.request.url), location).partition("?")[0])
    except ValueError:
        return shortened(location)


def _connection_fault(url: str, error: BaseException) -> Fault:
    causes = list(_causes(error))
    reason = shortened(str(causes[-1])) or type(causes[-1]).__name__
    if any(isinstance(cause, httpx2.ConnectError) for cause in causes):
        return Fault(f"{url}: the server does not answer: {reason}", unreachable=True)
    return Fault(f"the connection broke: {reason}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and its causes."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
