"""Base class of models behind a server: everything except the request and the parsing of its reply."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from x3spatial.conventions.base import Convention
from x3spatial.io.images import ImageError
from x3spatial.models.base import Model, Output, Unanswered
from x3spatial.models.servers.api_key import ApiKey
from x3spatial.models.servers.cache import AnswerCache, cache_key
from x3spatial.models.servers.faults import Fault, Stop
from x3spatial.models.servers.hosts import Host, Hosts, Lease
from x3spatial.models.servers.images import EncodedImage, ImageCache, ImageLimits
from x3spatial.models.servers.loop import LoopThread
from x3spatial.models.servers.parsing import ParsedReply
from x3spatial.models.servers.retrying import Backoff
from x3spatial.models.servers.settings import Settings
from x3spatial.models.servers.transport import Transport
from x3spatial.tasks.question import Question, Size

_KEPT_PNG_BYTES = 64 << 20
_MOST_UNREACHABLE = 8
"""Consecutive questions that failed because no server was reachable, after which the run ends."""


@dataclass(frozen=True, slots=True)
class Request:
    """The content of a request."""

    id: str
    text: str
    images: tuple[EncodedImage, ...]
    extra: Mapping[str, Any]
    """Fields of the request that belong to this question alone."""
    paths: tuple[Path, ...] = ()
    """The files of the images."""
    names: tuple[str, ...] = ()
    """The names of the images, which stand before them in the message; empty without names."""

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(W, H) of each encoded image."""
        return tuple(image.size for image in self.images)


class ServerModel(Model):
    """Sends one question per request, many concurrently, and retries where that can help.

    Callers are threads; the requests run in an event loop in a separate thread. At most
    ``settings.concurrency`` run concurrently; fewer while a server is overloaded.

    Args:
        convention: the point format of the model.
        settings: servers, limits and retries.
        api_key: the API key.
        limits: limits of the images that are sent.
        environment_headers: send the headers that OpenAI's client takes from the environment to any server.
    """

    concurrent: ClassVar[bool] = True
    path: ClassVar[str]
    """Path of the request, below the URL of the server."""

    def __init__(
        self,
        convention: Convention,
        settings: Settings,
        api_key: ApiKey,
        limits: ImageLimits,
        *,
        environment_headers: bool = False,
    ) -> None:
        self.convention = convention.name
        # Slightly more than the number of concurrent requests, so that the next images are encoded in time.
        self.in_flight = settings.concurrency + settings.concurrency // 4 + 1
        self.settings = settings
        self._convention = convention
        self._api_key = api_key
        self._images = ImageCache(limits)
        self._pngs = ImageCache(replace(limits, format="png"), kept_bytes=_KEPT_PNG_BYTES)
        self._cache = None if settings.cache is None else AnswerCache(settings.cache)
        self._identity = self.identity()
        self._loop = LoopThread("x3-requests")
        self._hosts = Hosts(settings.urls, settings.concurrency)
        self._transport = Transport(
            settings.timeout,
            api_key,
            max_reply_bytes=settings.max_reply_bytes,
            environment_headers=environment_headers,
        )
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        """Why the requests were cancelled."""
        self._answered = 0
        self._unreachable = 0
        """Consecutive questions that failed because no server was reachable."""

    @abstractmethod
    def body(self, request: Request) -> dict[str, Any]:
        """The JSON of a request."""

    @abstractmethod
    def read(self, content: str) -> ParsedReply:
        """Parse the text of a reply.

        Raises:
            Fault: the reply cannot be used.
        """

    def identity(self) -> dict[str, Any]:
        """Everything except prompt and images that affects an answer; part of its key in the cache."""
        # The hashes of the images are part of the key themselves.
        return {name: v for name, v in self.describe().items() if name != "image_format"}

    def own_fields(self, question: Question) -> dict[str, Any]:
        """Fields of the request that belong to this question alone."""
        return {}

    def prepare(self, questions: Sequence[Question]) -> list[Request]:
        """Read and encode the images and render the prompts.

        Raises:
            Unanswered: an image cannot be read or sent.
            UserError: the convention does not support the record.
        """
        requests = []
        for question in questions:
            images = []
            for path in question.images:
                try:
                    images.append(self._images.get(path))
                except ImageError as error:
                    raise Unanswered(f"{path}: {error.reason}") from None
            sizes = tuple(image.size for image in images)
            text = self._convention.prompt(question, self._counted(sizes))
            requests.append(
                Request(
                    question.id,
                    text,
                    tuple(images),
                    self.own_fields(question),
                    tuple(question.images),
                    self._convention.picture_names(len(images)),
                )
            )
        return requests

    def _counted(self, sizes: tuple[Size, ...]) -> tuple[Size, ...]:
        """The sizes in the pixels of the convention; empty if it does not use pixels."""
        return () if self._convention.pixels is None else sizes

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[Output]:
        """One answer per question, in order.

        Raises:
            Unanswered: all attempts failed, or the server refuses this question.
            UserError: the key, address or model is wrong, or no server is reachable.
        """
        requests: list[Request] = self.prepare(questions) if prepared is None else prepared
        found = [self._cached(request) for request in requests]
        asked = {
            number: self._loop.submit(self._ask(request))
            for number, request in enumerate(requests)
            if found[number] is None
        }
        for number, future in asked.items():
            found[number] = self._store(requests[number], *self._result(future))
        return [output for output in found if output is not None]

    def _result(
        self, future: Future[tuple[ParsedReply, dict[str, Any], Request]]
    ) -> tuple[ParsedReply, dict[str, Any], Request]:
        try:
            return future.result()
        except CancelledError:
            raise self._stop or Unanswered("the run was ended") from None

    def _cached(self, request: Request) -> Output | None:
        if self._cache is None:
            return None
        value = self._cache.get(self._key(request))
        if value is None or not isinstance(value.get("text"), str):
            return None
        return self._output(request, value["text"], {**value.get("details", {}), "cached": True})

    def _store(
        self, request: Request, reply: ParsedReply, how: Mapping[str, Any], sent: Request
    ) -> Output:
        details = dict(reply.details)
        if sent is not request:
            details["images"] = [image.details for image in sent.images]
        if self._cache is not None and reply.whole:
            self._cache.put(self._key(request), {"text": reply.text, "details": details})
        return self._output(request, reply.text, {**details, **how})

    def _key(self, request: Request) -> str:
        identity = {**self._identity, "extra": dict(request.extra)}
        return cache_key(identity, request.text, [image.sha256 for image in request.images])

    def _output(self, request: Request, text: str, details: Mapping[str, Any]) -> Output:
        images = [image.details for image in request.images]
        return Output(text, self._counted(request.sizes), {"images": images, **details})

    async def _ask(self, request: Request) -> tuple[ParsedReply, dict[str, Any], Request]:
        """The answer, with the host and the number of attempts, and what was sent in the end.

        If the server says that it cannot read an image, the question is sent once more with PNG files.

        Raises:
            Unanswered: no attempt gave an answer.
            UserError: the server refuses every request, or none is reachable.
        """
        sent, body = request, self.body(request)
        backoff = Backoff(self.settings.seed, request.id)
        avoid: Host | None = None
        attempt = spare = 0
        while True:
            attempt += 1
            try:
                async with self._hosts.lease(avoid) as lease:
                    avoid = lease.host
                    reply = await self._attempt(lease, body)
                self._answered += 1
                self._unreachable = 0
                return reply, {"host": avoid.index, "attempts": attempt}, sent
            except Fault as fault:
                if fault.unreadable_image and sent is request:
                    again = await asyncio.to_thread(self._with_png, request)
                    if again is not None:
                        sent, body = again, self.body(again)
                        spare += 1
                        avoid = None
                        continue
                last = attempt > self.settings.retries + spare
                if not fault.again or last:
                    self._give_up(fault)
                    tries = f" ({attempt} attempts)" if attempt > 1 else ""
                    if sent is not request:
                        tries += " (as PNG, too)"
                    raise Unanswered(self._api_key.hide(f"{fault}{tries}")) from None
                retry_after = fault.retry_after
            except Stop as stop:
                raise self._ended(stop) from None
            await asyncio.sleep(backoff.wait(attempt, retry_after))

    def _with_png(self, request: Request) -> Request | None:
        """The same request with PNG files of the same sizes; None if it has them already, or cannot."""
        try:
            images = tuple(self._pngs.get(path) for path in request.paths)
        except ImageError:
            return None
        changed = [image.sha256 for image in images] != [image.sha256 for image in request.images]
        again = replace(request, images=images)
        return again if changed and again.sizes == request.sizes else None

    async def _attempt(self, lease: Lease, body: Mapping[str, Any]) -> ParsedReply:
        """One request.

        Raises:
            Fault: the reply cannot be used.
            Stop: the server refuses every request.
        """
        try:
            reply = self.read(await self._transport.post(lease.host, self.path, body))
        except Fault as fault:
            if fault.overloaded:
                lease.overloaded()
            if fault.unreachable:
                lease.unreachable()
            if fault.again and fault.retry_after is not None:
                lease.pause(fault.retry_after)
            raise
        lease.succeeded()
        return reply

    def _give_up(self, fault: Fault) -> None:
        """Count an unanswered question.

        Raises:
            UserError: no server is reachable.
        """
        if not fault.unreachable:
            self._unreachable = 0
            return
        self._unreachable += 1
        if self._answered == 0:
            raise self._ended(Stop(f"--base-url {fault}; start the server, or correct the URL"))
        if self._unreachable >= _MOST_UNREACHABLE:
            raise self._ended(
                Stop(
                    f"--base-url {fault}; the server is gone: start it, the same command continues"
                )
            )

    def _ended(self, stop: Stop) -> Stop:
        """Cancel all requests; their callers get the same error."""
        self._stop = Stop(self._api_key.hide(str(stop)))
        self._loop.cancel()  # in the next iteration of the loop, after the caller has returned
        return self._stop

    def interrupt(self) -> None:
        """Cancel all requests."""
        self._stop = None
        self._loop.cancel()

    def close(self) -> None:
        """Close connections, thread and cache."""
        with self._lock:
            self._loop.close(self._transport.close())
            if self._cache is not None:
                self._cache.close()
                self._cache = None
