"""The campaign sees what is wrong: each fault, and nothing where all is well."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("the campaign needs /proc and fork", allow_module_level=True)

from campaign.__main__ import summary
from campaign.commands import COMMANDS
from campaign.lab import (
    FAULTS,
    HANG,
    LEFT,
    LOST,
    MEMORY,
    TRACEBACK,
    WRONG,
    Case,
    check_kept,
    check_same,
    check_whole,
    judge,
)
from campaign.process import Circumstances, Ran, Zygote
from campaign.stub import ANSWER, MODES, Stub

WELL = Ran(0, "done\n", "", 0.1, 0.1, False, 10, [], False)


def _case() -> Case:
    return Case(COMMANDS[0], "kills", "SIGKILL", 0)


@pytest.mark.parametrize(
    ("ran", "fault"),
    [
        (WELL, None),
        (replace(WELL, code=2, err="x3: ROOT a: no such folder\n"), None),
        (replace(WELL, code=1, err="Traceback (most recent call last):\n  ...\n"), TRACEBACK),
        (
            replace(WELL, code=1, err="x3: internal error at x3spatial/a.py:1: KeyError: 'a'"),
            TRACEBACK,
        ),
        (replace(WELL, err="Exception ignored in: <_io.TextIOWrapper>\n"), TRACEBACK),
        (replace(WELL, code=-signal.SIGSEGV), TRACEBACK),
        (replace(WELL, code=120), TRACEBACK),
        (replace(WELL, code=2), WRONG),
        (replace(WELL, code=2, err="x" * 50_000), TRACEBACK),
        (replace(WELL, timed_out=True, code=-9), HANG),
        (replace(WELL, left=["python -m x3spatial sft"]), LEFT),
        (replace(WELL, megabytes=4000), MEMORY),
    ],
)
def test_what_no_run_may_show(ran: Ran, fault: str | None) -> None:
    case = _case()
    judge(case, ran)
    assert [one.fault for one in case.findings] == ([] if fault is None else [fault])


def test_a_signal_may_end_a_run_that_it_was_sent_to() -> None:
    for code in (-signal.SIGKILL, 130, 128 + signal.SIGTERM):
        case = _case()
        judge(case, replace(WELL, code=code), killed=True)
        assert not case.findings
    judge(
        case := _case(),
        replace(WELL, code=1, err="Traceback (most recent call last):"),
        killed=True,
    )
    assert [one.fault for one in case.findings] == [TRACEBACK]


def test_what_was_there_stays() -> None:
    for after, faults in (
        ({"a": "1", "b": "2", "new": "3"}, []),
        ({"a": "1"}, [LOST]),
        ({"a": "1", "b": "3"}, [LOST]),
    ):
        case = _case()
        check_kept(case, {"a": "1", "b": "2"}, after)
        assert [one.fault for one in case.findings] == faults


def test_outputs_are_whole_or_not_there() -> None:
    reference = {"a": "1", "b": "2"}
    for found, whole, same in (
        ({}, [], [WRONG]),
        ({"a": "1"}, [], [WRONG]),
        ({"a": "1", "b": "2"}, [], []),
        ({"a": "half", "b": "2"}, [LOST], [WRONG]),
        ({"a": "1", "b": "2", "c": "3"}, [], [WRONG]),
    ):
        case = _case()
        check_whole(case, found, reference)
        assert [one.fault for one in case.findings] == whole
        case = _case()
        check_same(case, found, reference, "why")
        assert [one.fault for one in case.findings] == same


def test_the_table_counts_cases_with_each_fault() -> None:
    good, bad = _case(), _case()
    bad.add(LOST, "one file")
    bad.add(LOST, "another file")
    bad.add(HANG, "still running")
    rows = {line.split()[0]: line.split()[1:] for line in summary([good, bad]).splitlines()}
    counts = ["1" if fault in (LOST, HANG) else "0" for fault in FAULTS]
    assert rows["kills"] == ["2", "0", *counts] == rows["all"]
    assert rows["disks"] == ["0"] * (2 + len(FAULTS))


def test_runs_are_limited_and_ended(tmp_path: Path) -> None:
    zygote = Zygote(heavy=False)
    try:
        ran = zygote.run(["version"], tmp_path, Circumstances())
        assert (ran.code, ran.left, ran.err) == (0, [], "") and "x3spatial" in ran.out
        words = ["composites", "out", "--scenes", "200", "--workers", "1"]
        killed = zygote.run(words, tmp_path, Circumstances(signal=(signal.SIGKILL, 0.1)))
        assert killed.code == -signal.SIGKILL and killed.signalled
        late = zygote.run(words, tmp_path, Circumstances(timeout=0.3))
        assert late.timed_out
        full = zygote.run(
            ["composites", "full", "--scenes", "1"], tmp_path, Circumstances(file_limit=100)
        )
        sizes = [path.stat().st_size for path in (tmp_path / "full").rglob("*") if path.is_file()]
        assert full.code != 0 and max(sizes, default=0) <= 100
        (tmp_path / "secret").mkdir(mode=0o000)
        dropped = zygote.run(["audit", "secret"], tmp_path, Circumstances(drop_rights=True))
        assert dropped.code != 0
    finally:
        zygote.close()


def test_the_server_answers_well_or_not() -> None:
    import http.client

    def post(stub: Stub) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(stub.url.removeprefix("http://"), timeout=5)
        try:
            connection.request(
                "POST", "/v1/chat/completions", b"{}", {"authorization": "Bearer key+1"}
            )
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    with Stub() as stub:
        assert ANSWER.encode() in post(stub)[1]
        for mode, status, part in (
            ("status 503", 503, b"no"),
            ("redirect 307", 307, b""),
            ("the key", 200, b"key+1"),
            ("the key, as other languages escape it", 200, b"key\\u002B1"),
            ("garbage", 200, b"\x00\x01"),
        ):
            stub.set(mode)
            found = post(stub)
            assert found[0] == status and part in found[1], mode
    assert len(MODES) > 45
