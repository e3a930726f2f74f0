"""Served models whose servers fail: every sample is answered once or reported, and asked again later."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest

from helpers.server_common import (
    FaultyServer,
    chat,
    command,
    numbered_set,
    results,
    serving,
    text_of,
    x3,
)
from x3spatial.evaluation.journal import journal_path
from x3spatial.models.servers import retrying

pytest.importorskip("openai")

RETRIES = 3
PASSING = (
    "429", "429/0", "500", "502", "503", "529", "408", "cut", "no json", "no choices", "error body", "null",
    "empty", "list", "wrong shape",
)  # fmt: skip
OWN = ("400", "413", "422")
"""Statuses that are the question's own: no further attempt."""


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.02)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_set(tmp_path_factory.mktemp("data"), 320)


def faults_of(number: int) -> list[str]:
    """What befalls a sample, attempt by attempt, before it is answered; it is drawn, but always the same."""
    draw = random.Random(f"faults/{number}")
    special = {3: ["429/1"], 50: ["503/date", "500"], 51: ["hang"], 52: ["drip", "cut"]}
    if number in special:
        return special[number]
    if number % 40 == 7:
        return [draw.choice(PASSING)] * 99
    if number % 40 == 9:
        return [draw.choice(OWN)] * 99
    if draw.random() < 0.4:
        return [draw.choice(PASSING) for _ in range(draw.randint(1, RETRIES + 1))]
    return []


def faulty(number: int, attempt: int) -> str:
    faults = faults_of(number)
    return faults[attempt - 1] if attempt <= len(faults) else "ok"


def attempts_of(number: int) -> int:
    faults = faults_of(number)
    if faults and faults[0] in OWN:
        return 1
    return min(len(faults), RETRIES) + 1


def test_every_sample_is_answered_once_or_reported(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    lost = [n for n in range(320) if len(faults_of(n)) >= attempts_of(n)]
    assert 20 < len(lost) < 100
    options = {"retries": RETRIES, "concurrency": 12, "timeout": 10}
    with serving(faulty, seconds=0.01) as server:
        assert x3(data, out, server.base, **options) == 1
        assert server.asked == {n: attempts_of(n) for n in range(320)}
        assert server.most <= 12
        first, second = server.times[3]
        assert second - first >= 1.0  # what Retry-After asked for
        found = results(out)
        assert [entry["id"] for entry in found] == [f"sample-{n}" for n in range(320)]
        for number, entry in enumerate(found):
            if number in lost:
                assert (entry["status"], entry["pred_text"]) == ("error", None)
                assert entry["error"]
            else:
                assert entry["pred_text"] == text_of(number)
                assert entry["details"]["attempts"] == attempts_of(number)
        assert json.loads(out.read_text())["metrics"]["errors"] == len(lost)
        assert f"{len(lost)} of 320 samples without an answer" in capsys.readouterr().err

        # The server is mended: the same command asks what is missing and nothing else.
        server.plan = lambda number, attempt: "ok"
        server.forget()
        assert x3(data, out, server.base, **options) == 0
        assert server.asked == dict.fromkeys(lost, 1)
    assert [entry["pred_text"] for entry in results(out)] == [text_of(n) for n in range(320)]


def test_a_kill_in_the_middle_loses_no_answer(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with serving(seconds=0.03) as server:
        arguments = command(data, out, server.base, concurrency=4)
        process = subprocess.Popen(
            [sys.executable, "-m", "x3spatial", *arguments], stderr=subprocess.DEVNULL
        )
        journal = journal_path(out)
        while process.poll() is None and (
            not journal.exists() or len(journal.read_bytes().splitlines()) < 30
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        lines = [json.loads(line) for line in journal.read_text().splitlines()[1:-1]]
        stored = {id for line in lines for id in line}
        assert len(stored) >= 28
        server.forget()
        assert x3(data, out, server.base, concurrency=4) == 0
        asked = {f"sample-{number}" for number in server.asked}
        assert not asked & stored
        assert set(server.asked.values()) == {1}
    assert [entry["pred_text"] for entry in results(out)] == [text_of(n) for n in range(320)]


def test_an_interrupt_does_not_wait_for_the_server(data: Path, tmp_path: Path) -> None:
    with serving(lambda number, attempt: "hang") as server:
        arguments = command(data, tmp_path / "out.json", server.base, timeout=600)
        # A shell may have started the tests with interrupts ignored, which children inherit.
        code = (
            "import signal, sys, x3spatial.cli as cli;"
            "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(cli.run(sys.argv[1:]))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and not server.asked:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said.splitlines()[-1].startswith("x3: interrupted; the same command continues")


def test_fewer_at_once_while_the_server_has_too_much_to_do(data: Path, tmp_path: Path) -> None:
    """A server that takes 4 at once and refuses the rest."""
    server = FaultyServer(seconds=0.02)
    server.plan = lambda number, attempt: "ok" if server.under_way <= 4 else "429"
    out = tmp_path / "out.json"
    try:
        assert x3(data, out, server.base, concurrency=32, retries=50) == 0
    finally:
        server.close()
    half = server.crowds[len(server.crowds) // 2 :]
    refused = sum(crowd > 4 for crowd in half) / len(half)
    assert refused < 0.5  # 32 at once would have it at 0.85 and more
    assert [entry["pred_text"] for entry in results(out)] == [text_of(n) for n in range(320)]


def test_several_servers_share_the_work_and_a_dead_one_is_left_out(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    with serving() as gone:
        dead = gone.base
    with serving(seconds=0.01) as one, serving(seconds=0.01) as two:
        assert x3(data, out, one.base, dead, two.base, concurrency=6) == 0
        asked = one.asked + two.asked
        assert asked == dict.fromkeys(range(320), 1)
        assert min(len(one.asked), len(two.asked)) > 60
        hosts = Counter(entry["details"]["host"] for entry in results(out))
        assert hosts == {0: len(one.asked), 2: len(two.asked)}
        settings = json.loads(out.read_text())["settings"]
        assert one.base not in json.dumps(settings)  # so the run can go on elsewhere
        one.forget()
        assert x3(data, out, one.base) == 0
        assert not one.asked


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("401", "is the key right"),
        ("403", "is the key right"),
        ("404", "is the URL right"),
    ],
)
def test_what_no_attempt_can_mend_ends_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, says: str
) -> None:
    out = tmp_path / "out.json"
    with serving(lambda number, attempt: status if number > 40 else "ok") as server:
        assert x3(data, out, server.base, concurrency=3) == 2
        captured = capsys.readouterr().err.strip()
        assert f"--base-url {server.base}: " in captured
        assert f"HTTP {status}: no luck" in captured
        assert says in captured.splitlines()[-1]
        assert not out.exists()
        assert sum(server.asked.values()) < 60
        server.plan = lambda number, attempt: "ok"
        server.forget()
        assert x3(data, out, server.base) == 0
        assert set(server.asked.values()) == {1}
        assert len(server.asked) < 290  # what was answered before it ended is kept
    assert [entry["pred_text"] for entry in results(out)] == [text_of(n) for n in range(320)]


def test_a_run_that_answered_nothing_does_not_hinder_the_corrected_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    with serving(lambda number, attempt: "404") as server:
        assert x3(data, out, server.base, extra_body='{"top_k": 2}') == 2
        server.plan = lambda number, attempt: "ok" if number < 100 else "404"
        assert x3(data, out, server.base, concurrency=1) == 2
        capsys.readouterr()
        # Now there are answers: those of another command are not mixed in, and what differs is named.
        assert x3(data, out, server.base, extra_body='{"top_k": 2}') == 2
        said = capsys.readouterr().err
        assert "holds an unfinished run with other settings" in said
        assert "fields top_k was None, is 2" in said and "temperature" not in said


def test_nobody_there(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        url = server.base
    assert x3(data, tmp_path / "out.json", url, retries=1) == 2
    assert "start the server, or correct the URL" in capsys.readouterr().err


def test_a_server_that_goes_away_ends_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    server = FaultyServer(seconds=0.01)

    def plan(number: int, attempt: int) -> str:
        if number == 60:
            server.vanish()
        return "cut" if number >= 60 else "ok"

    server.plan = plan
    try:
        assert x3(data, out, server.base, concurrency=2, retries=1) == 2
    finally:
        server.close()
    assert "the same command continues" in capsys.readouterr().err
    with serving() as other:
        assert x3(data, out, other.base, concurrency=2) == 0
        assert len(other.asked) < 300
    assert [entry["pred_text"] for entry in results(out)] == [text_of(n) for n in range(320)]


def test_a_used_up_quota_ends_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from x3spatial.models.servers.faults import Stop, status_fault

    body = json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}}).encode()
    fault = status_fault(429, body, where="--base-url U")
    assert isinstance(fault, Stop)
    assert "quota is used up" in str(fault)


KEY = "sk-3f9Qx/77+secret-of-the-user=="


@pytest.mark.parametrize(
    "what", ["ok", "500", "400", "401", "404", "no json", "error body", "429/0", "echo"]
)
def test_the_key_is_never_written(
    data: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "not this one")
    said = json.dumps(chat(f"[(0.5, 0.5)] says {KEY}", refusal=KEY)) if what == "echo" else what
    folder = tmp_path / "run"
    folder.mkdir()
    with serving(lambda number, attempt: said) as server:
        x3(
            data, folder / "out.json", server.base, limit=6, retries=1,
            api_key_env="MY_KEY", cache=folder / "cache.sqlite",
        )  # fmt: skip
        assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    printed = "".join(capfd.readouterr())
    assert written
    assert printed
    assert not shown(written.decode("utf-8", "replace") + printed)


@pytest.mark.parametrize("status", ["", "400:"])
def test_no_part_of_the_key_is_left_where_messages_are_cut(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    forms = (KEY, KEY.replace("/", "\\/"), quote(KEY, safe=""))

    def plan(number: int, attempt: int) -> str:
        return status + "y" * number + forms[number % 3]

    out = tmp_path / "out.json"
    with serving(plan) as server:
        assert x3(data, out, server.base, retries=0) == 1
    assert sum("[key]" in entry["error"] for entry in results(out)) > 60
    assert not shown(out.read_text())


def shown(text: str) -> list[str]:
    """The parts of the key that are in a text."""
    parts = (KEY[start : start + 6] for start in range(len(KEY) - 5))
    return [part for part in parts if part in text]


def test_without_a_key_no_header_is_sent(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "of something else")
    with serving() as server:
        assert x3(data, tmp_path / "out.json", server.base, limit=3) == 0
        assert not any("authorization" in headers for headers in server.headers)
        monkeypatch.setenv("OPENAI_API_KEY", "abcdefgh")
        server.forget()
        model = f"roborefer-server:{server.url}"
        arguments = command(data, tmp_path / "rr.json", model=model, limit=3)
        at = arguments.index("--convention")
        del arguments[at : at + 2]
        from x3spatial.cli import run

        assert run(arguments) == 0
        assert not any("authorization" in headers for headers in server.headers)
    assert os.environ["OPENAI_API_KEY"] == "abcdefgh"
