"""HTTP through the official OpenAI client, also for servers with another API.

The client's own retries are off: attempts are counted, and waits decided, in one place (``model``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import openai

from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.faults import Fault, shortened, status_fault
from x3spatial.models.servers.hosts import Host
from x3spatial.models.servers.retrying import parse_retry_after

_CONNECT_SECONDS = 10.0


class Transport:
    """Posts JSON to hosts. For use within one event loop.

    Args:
        timeout: seconds for one request, from connecting to the last byte of the reply.
        api_key: sent as a bearer token; no such header without one.
    """

    def __init__(self, timeout: float, api_key: ApiKey) -> None:
        self._timeout = timeout
        self._api_key = api_key
        self._clients: dict[str, openai.AsyncOpenAI] = {}

    async def post(self, host: Host, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of a reply with status 2xx, with the API key redacted.

        Raises:
            Fault: no reply, or another status.
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
                self._api_key.hide_in_body(response.content, answer=False),
                where=f"--base-url {host.url}",
                retry_after=parse_retry_after(response.headers.get("retry-after")),
            ) from None
        except openai.APIConnectionError as error:
            raise _connection_fault(host.url, error) from None
        return self._api_key.hide_in_body(response.content, answer=True)

    def _client(self, url: str) -> openai.AsyncOpenAI:
        if url not in self._clients:
            self._clients[url] = openai.AsyncOpenAI(
                base_url=url,
                # Required by the client; without a key the header is left out of each request.
                api_key=self._api_key.reveal() or "none",
                max_retries=0,
                timeout=httpx2.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
            )
        return self._clients[url]

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()


def _no_authorization() -> dict[str, Any]:
    return {"Authorization": openai.Omit()}


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
