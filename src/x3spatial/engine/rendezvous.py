"""File-based coordination of evaluation processes, on one machine or many.

No network and no torch: whatever started the processes, they share the file system of their results. Rank 0
coordinates. It writes the *call*, ``.{name}.ranks``; each other rank writes a *report*,
``.{name}.rank{r}of{W}.{token}.report``. Both carry a counter that a background thread moves, the heartbeat: a
file whose content does not change for the timeout belongs to a dead process. (Clocks of
machines differ, and not every file system has locks, so neither decides.) On the same machine a dead
process is noticed at once.

A launch that was killed leaves its files. So a rank follows a call only if it names the rank's token,
which is new in each process, and rank 0 heeds a report only if it names the call's id, which is new in each
call.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from x3spatial.engine.world import World
from x3spatial.errors import Unfinished, UserError
from x3spatial.io.files import part_path, write_text

_LOG = logging.getLogger(__name__)

_HEARTBEAT = 5.0
"""Seconds between two heartbeats; a tenth of the timeout where that is shorter."""
_POLL = 0.25
"""Seconds between two looks at the others' files."""
_REMIND = 60.0
_AGAIN = "answers so far are kept: the same command, with any number of processes, asks the rest"


class _Watch:
    """Judges whether another process lives by what its file says."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._last: Any = None
        self._since = time.monotonic()

    def lost(self, value: Mapping[str, Any] | None) -> str | None:
        """Why the process that wrote ``value`` counts as gone; None while it lives."""
        if value != self._last:
            self._last, self._since = value, time.monotonic()
        if value is not None and _is_dead(value):
            return f"process {value['pid']} on {value['host']} has ended without finishing"
        if time.monotonic() - self._since > self._timeout:
            what = "has not begun" if value is None else f"on {value['host']} sent no heartbeat"
            return f"{what} for {self._timeout:g} s (--process-timeout)"
        return None


class _Participant:
    """What coordinator and workers share: a file with a heartbeat, and leaving it in the right state."""

    def __init__(self, target: Path, world: World, path: Path) -> None:
        self.world = world
        self._target = target
        self._path = path
        self._state: dict[str, Any] = {}
        self._heartbeat = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"{self._path}: cannot write there: {reason}") from None
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is not None:
            message = " ".join(str(error).split()) or type(error).__name__
            with suppress(OSError):  # what went wrong first is what counts
                self._look()
                self._set(state="failed", message=message)
        else:
            self._tidy()

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._state |= changes
        self._write()

    def _write(self) -> None:
        with self._lock:
            self._heartbeat += 1
            value = self._state | _ME | {"pid": os.getpid(), "heartbeat": self._heartbeat}
            write_text(self._path, json.dumps(value))

    def _send_heartbeats(self) -> None:
        every = min(_HEARTBEAT, self.world.timeout / 10)
        last = time.monotonic()
        while not self._stop.wait(min(_POLL, every)):
            try:
                if self._look() or time.monotonic() - last >= every:
                    self._write()
                    last = time.monotonic()
            except OSError:
                continue  # a file system that is away for a moment; the others wait for the timeout

    def _look(self) -> bool:
        """Look at the others' files; whether one's own must be written at once."""
        raise NotImplementedError

    def _tidy(self) -> None:
        """Remove what a finished launch leaves."""
        raise NotImplementedError


class Coordinator(_Participant):
    """Rank 0: says when the others may begin, and waits for them. Use as a context manager.

    Args:
        target: the file that the common work comes to; named in the names of the rendezvous's files.
    """

    def __init__(self, target: Path, world: World) -> None:
        super().__init__(target, world, _call_path(target))
        self._state = {
            "call": uuid.uuid4().hex,
            "launch": world.launch,
            "state": "preparing",
            "tokens": [],
        }

    @property
    def launch(self) -> str:
        """What only the processes of this launch know."""
        return str(self._state["call"])

    def ready(self) -> None:
        """Let the others begin."""
        self._look()
        self._set(state="ready")

    def wait(self) -> list[Mapping[str, Any]]:
        """Wait until every other rank is done; what each gave to ``Worker.done``, by rank.

        Raises:
            Unfinished: one of them failed, ended or sent no heartbeat.
        """
        others = range(1, self.world.size)
        watches = {rank: _Watch(self.world.timeout) for rank in others}
        reminded = float("-inf")
        while True:
            reports = {rank: self._report(rank) for rank in others}
            open_ = [rank for rank in others if (reports[rank] or {}).get("state") != "done"]
            if not open_:
                return [report["payload"] for report in reports.values() if report is not None]
            for rank in open_:
                report = reports[rank]
                failed = (report or {}).get("state") == "failed"
                why = report["message"] if report and failed else watches[rank].lost(report)
                if why is not None and not self._is_done(rank):
                    raise Unfinished(f"rank {rank} of {self.world.size}: {why}; {_AGAIN}")
            if time.monotonic() - reminded > _REMIND:
                names = ", ".join(map(str, open_))
                _LOG.warning(
                    "%s waits for %d of %d others (ranks %s)",
                    self.world, len(open_), len(others), names,
                )  # fmt: skip
                reminded = time.monotonic()
            time.sleep(_POLL)

    def _is_done(self, rank: int) -> bool:
        """Whether it finished between reading its report and seeing that its process is gone."""
        return (self._report(rank) or {}).get("state") == "done"

    def _report(self, rank: int) -> dict[str, Any] | None:
        """What ``rank`` of this launch says; None before it has answered the call."""
        for path in _reports(self._target, f"{rank}of{self.world.size}"):
            value = _read(path)
            if value is not None and value.get("call") == self._state["call"]:
                return value
        return None

    def _look(self) -> bool:
        found = [_read(path) for path in _reports(self._target, f"*of{self.world.size}")]
        tokens = sorted(value["token"] for value in found if value is not None)
        with self._lock:
            changed = bool(tokens != self._state["tokens"])
            self._state["tokens"] = tokens
        return changed

    def _tidy(self) -> None:
        clear(self._target)


class Worker(_Participant):
    """Another rank: begins when rank 0 says so, and tells it when it is done. Use as a context manager."""

    def __init__(self, target: Path, world: World) -> None:
        token = uuid.uuid4().hex
        path = target.with_name(f".{target.name}.rank{world.rank}of{world.size}.{token[:8]}.report")
        super().__init__(target, world, path)
        self._state = {"token": token, "call": None, "state": "waiting", "payload": {}}
        self._trouble: str | None = None

    @property
    def launch(self) -> str | None:
        """What only the processes of this launch know; None before ``join``."""
        call: str | None = self._state["call"]
        return call

    def join(self) -> None:
        """Wait until rank 0 lets this rank begin.

        Raises:
            Unfinished: rank 0 failed, ended or sent no heartbeat.
        """
        watch = _Watch(self.world.timeout)
        while True:
            call = self._call()
            # A coordinator that failed before it saw this rank is known by the launch.
            mine = call is not None and (
                self._state["token"] in call["tokens"]
                or (call["launch"] is not None and call["launch"] == self.world.launch)
            )
            if call is not None and mine and call["state"] == "failed":
                raise Unfinished(f"{self.world}: rank 0 stopped: {call['message']}")
            if call is not None and mine and self._state["call"] != call["call"]:
                self._set(call=call["call"])
            if call is not None and mine and call["state"] == "ready":
                self._set(state="working")
                return
            why = watch.lost(call if mine else None)
            if why is not None:
                raise Unfinished(f"{self.world}: rank 0: {why}")
            time.sleep(_POLL)

    def check(self) -> None:
        """Go on only while rank 0 does.

        Raises:
            Unfinished: the coordinator failed or ended.
        """
        if self._trouble is not None:
            raise Unfinished(f"{self.world}: {self._trouble}; {_AGAIN}")

    def done(self, payload: Mapping[str, Any]) -> None:
        """Give rank 0 what this rank's share came to (JSON values), and wait until the whole is finished.

        Raises:
            Unfinished: rank 0 failed, ended or sent no heartbeat.
        """
        self._set(state="done", payload=dict(payload))
        watch = _Watch(self.world.timeout)
        missed = 0
        while missed < 2:  # once may be a hiccup of a network's file system
            call = self._call()
            gone = call is None or call["call"] != self._state["call"]
            missed = (
                missed + 1 if gone else 0
            )  # only a coordinator that finished takes its call away
            if call is not None and not gone:
                if call["state"] == "failed":
                    raise Unfinished(f"{self.world}: rank 0 stopped: {call['message']}; {_AGAIN}")
                why = watch.lost(call)
                if why is not None and self._call() is not None:
                    raise Unfinished(f"{self.world}: rank 0: {why}; {_AGAIN}")
            time.sleep(_POLL)

    def _call(self) -> dict[str, Any] | None:
        return _read(_call_path(self._target))

    def _look(self) -> bool:
        if self._state["state"] == "working" and self._trouble is None:
            call = self._call()
            if call is None:
                return False
            if call["call"] != self._state["call"]:
                self._trouble = "another run has taken over"
            elif call["state"] == "failed":
                self._trouble = f"rank 0 stopped: {call['message']}"
            elif _is_dead(call):
                self._trouble = "rank 0 has ended without finishing"
        return False

    def _tidy(self) -> None:
        self._path.unlink(missing_ok=True)


def clear(target: Path) -> None:
    """Remove the files of every run that ever met at ``target``."""
    for path in (_call_path(target), *_reports(target, "*of*")):
        path.unlink(missing_ok=True)
        part_path(path).unlink(missing_ok=True)


def _call_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.ranks")


def _reports(target: Path, which: str) -> list[Path]:
    """The report files of a rank and a world, ``1of2``; either may be ``*``."""
    pattern = f".{glob.escape(target.name)}.rank{which}.*.report"
    return sorted(target.parent.glob(pattern))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # not there, or not there any more: over a network that may be seen late
    return value if isinstance(value, dict) else None


def _machine() -> str:
    """A name for the machine as far as process numbers go: containers of one machine count apart."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


_ME = {"host": socket.gethostname(), "machine": _machine()}


def _is_dead(value: Mapping[str, Any]) -> bool:
    """Whether the process that wrote ``value`` ran on this machine and runs no more."""
    if value.get("machine") != _ME["machine"] or sys.platform == "win32":
        return False  # elsewhere, or where signal 0 is no mere question
    try:
        os.kill(value["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(value["pid"])


def _is_zombie(pid: int) -> bool:
    """Whether it has ended and its parent has not looked yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
