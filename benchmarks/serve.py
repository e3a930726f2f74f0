"""Throughput of `x3 eval --model openai:...` relative to the server's limit; prints one JSON line.

A stub server in its own process answers every request after a fixed latency; questions have two images of
about 100 KB each. With N concurrent requests and a latency of L seconds the limit is N / L answers a second.
``ratio`` is the measured rate over that limit (1.0: always N requests in flight), over the whole run except
the start of the process. ``client_cpu_ms`` is the client's CPU time per request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.evaluation.inference import ask
from x3spatial.io.images import encode_jpeg
from x3spatial.models.registry import create
from x3spatial.tasks.question import Question

_REPLY = json.dumps(
    {"choices": [{"message": {"content": "[(0.5, 0.5)]"}, "finish_reason": "stop"}]}
).encode()


class Stub:
    """Answers POST requests after ``latency`` seconds and counts the requests in flight."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.now = self.most = self.requests = self.received = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = [
                    line.split(b":", 1) for line in head.lower().split(b"\r\n") if b":" in line
                ]
                length = next(int(value) for name, value in fields if name == b"content-length")
                self.now += 1
                self.most = max(self.most, self.now)
                left = length
                while left:
                    left -= len(await reader.read(min(left, 1 << 20)))
                self.requests += 1
                self.received += length
                await asyncio.sleep(self.latency)
                self.now -= 1
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                    % len(_REPLY)
                    + _REPLY
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def run_stub(pipe: Connection, latency: float) -> None:
    async def main() -> None:
        stub = Stub(latency)
        server = await asyncio.start_server(stub.serve, "127.0.0.1", 0, limit=1 << 20)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        used = resource.getrusage(resource.RUSAGE_SELF)
        pipe.send(
            {
                "requests": stub.requests,
                "most_at_once": stub.most,
                "bytes_per_request": stub.received // max(stub.requests, 1),
                "cpu_s": used.ru_utime + used.ru_stime,
            }
        )

    asyncio.run(main())


def make_questions(folder: Path, count: int) -> list[Question]:
    """Make questions with two JPEG files of about 100 KB; four share the first, as in anchor mode."""
    random = np.random.default_rng(0)

    def make_image(name: str) -> Path:
        coarse = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        noise = random.integers(-16, 17, (480, 640, 3))
        pixels = np.clip(np.kron(coarse, np.ones((8, 8, 1))) + noise, 0, 255).astype(np.uint8)
        path = folder / f"{name}.jpg"
        path.write_bytes(encode_jpeg(pixels, 87))
        return path

    questions = []
    for number in range(count):
        if number % 4 == 0:
            reference = make_image(f"{number}_reference")
        images = (reference, make_image(f"{number}_query"))
        questions.append(Question(str(number), "t1_multi", images, "Where is it?", "Where?"))
    return questions


def one_round(questions: list[Question], latency: float, concurrency: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    stub = context.Process(target=run_stub, args=(there, latency), daemon=True)
    stub.start()
    url = f"http://127.0.0.1:{here.recv()}/v1"
    options = {"base_url": [url], "convention": "unit", "concurrency": concurrency}
    model = create("openai:stub", options)
    start, start_cpu = time.perf_counter(), time.process_time()
    answers = 0
    for replies in ask(model, questions, batch_size=1, workers=1):
        answers += sum(reply.text is not None for reply in replies.values())
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    model.close()
    here.send(None)
    seen = here.recv()
    stub.join()
    assert answers == len(questions) == seen["requests"], "every question is answered, once"
    assert seen["most_at_once"] <= concurrency
    return {"seconds": seconds, "cpu": cpu, **seen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--questions", type=int, default=480)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency_ms", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    latency = options.latency_ms / 1000
    with tempfile.TemporaryDirectory() as scratch:
        questions = make_questions(Path(scratch), options.questions)
        rounds = [one_round(questions, latency, options.concurrency) for _ in range(options.rounds)]
    ideal = options.concurrency / latency
    ratios = [options.questions / round_["seconds"] / ideal for round_ in rounds]
    count = options.questions
    print(
        json.dumps(
            {
                "benchmark": "serve",
                "questions": count,
                "concurrency": options.concurrency,
                "latency_ms": options.latency_ms,
                "kilobytes_per_request": round(rounds[0]["bytes_per_request"] / 1000),
                "ideal_per_s": round(ideal, 1),
                "answers_per_s": round(statistics.median(ratios) * ideal, 1),
                "ratio": round(statistics.median(ratios), 3),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "bound": 0.9,
                "most_at_once": rounds[0]["most_at_once"],
                "client_cpu_ms": round(min(r["cpu"] for r in rounds) / count * 1000, 2),
                "server_cpu_ms": round(min(r["cpu_s"] for r in rounds) / count * 1000, 2),
                "load_average": round(os.getloadavg()[0], 1),
                "cores": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
