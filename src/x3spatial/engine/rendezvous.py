"""File-based coordination of evaluation processes, on one machine or many.

The processes only need a common file system for their results; neither a network connection nor torch is
used. Rank 0 coordinates. It writes the *announcement*, ``.{name}.ranks``; every other rank writes a *status*,
``.{name}.rank{r}of{W}.{token}.status``. Both contain a heartbeat, a counter that a background thread
increments: a process whose file does not change within the timeout counts as dead. (Clocks of different
machines differ, and not every file system supports locks, so neither is used.) A dead process on the same
machine is detected at once.

A killed launch leaves its files behind. Therefore a rank follows an announcement only if it lists the rank's
token, which is new in each process, and rank 0 accepts a status only if it contains the id of the
announcement, which is new in each run.
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
from x3spatial.io.files import write_text
from x3spatial.io.opening import part_path

_LOG = logging.getLogger(__name__)

_HEARTBEAT = 5.0
"""Seconds between two heartbeats; a tenth of the timeout where that is shorter."""
_POLL = 0.25
"""Seconds between two reads of the files of other processes."""
_REMIND = 60.0
_RESUME_HINT = (
    "answers so far are kept: the same command, with any number of processes, asks the rest"
)


class _HeartbeatMonitor:
    """Detects that another process is dead, from its heartbeat and its process id."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._last: Any = None
        self._since = time.monotonic()

    def why_dead(self, value: Mapping[str, Any] | None) -> str | None:
        """Why the process that wrote ``value`` counts as dead; None while it is alive."""
        if value != self._last:
            self._last, self._since = value, time.monotonic()
        if value is not None and _is_dead(value):
            return f"process {value['pid']} on {value['host']} has ended without finishing"
        if time.monotonic() - self._since > self._timeout:
            what = "has not begun" if value is None else f"on {value['host']} sent no heartbeat"
            return f"{what} for {self._timeout:g} s (--process-timeout)"
        return None


class _Participant:
    """Common part of coordinator and workers: a file with a heartbeat and the final state of the process."""

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
            with suppress(OSError):  # the first error is raised
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
                continue  # the file system may be back at the next heartbeat; the others wait for the timeout

    def _look(self) -> bool:
        """Read the files of the other processes; True if this process's file must be written at once."""
        raise NotImplementedError

    def _tidy(self) -> None:
        """Remove the files of a finished launch."""
        raise NotImplementedError


class Coordinator(_Participant):
    """Rank 0: starts the other ranks and waits for them. Use as a context manager.

    Args:
        target: the results file; the names of the rendezvous files contain its name.
        world: this process.
    """

    def __init__(self, target: Path, world: World) -> None:
        super().__init__(target, world, _announcement_path(target))
        self._state = {
            "run_id": uuid.uuid4().hex,
            "launch": world.launch,
            "state": "preparing",
            "tokens": [],
        }

    @property
    def launch(self) -> str:
        """The id of this run, known to all of its processes."""
        return str(self._state["run_id"])

    def ready(self) -> None:
        """Allow the other ranks to start."""
        self._look()
        self._set(state="ready")

    def wait(self) -> list[Mapping[str, Any]]:
        """Wait until all other ranks are done, and return the payload of each in order of rank.

        Raises:
            Unfinished: a rank failed, exited or sent no heartbeat.
        """
        others = range(1, self.world.size)
        monitors = {rank: _HeartbeatMonitor(self.world.timeout) for rank in others}
        reminded = float("-inf")
        while True:
            statuses = {rank: self._read_status(rank) for rank in others}
            open_ = [rank for rank in others if (statuses[rank] or {}).get("state") != "done"]
            if not open_:
                return [status["payload"] for status in statuses.values() if status is not None]
            for rank in open_:
                status = statuses[rank]
                failed = (status or {}).get("state") == "failed"
                why = status["message"] if status and failed else monitors[rank].why_dead(status)
                if why is not None and not self._is_done(rank):
                    raise Unfinished(f"rank {rank} of {self.world.size}: {why}; {_RESUME_HINT}")
            if time.monotonic() - reminded > _REMIND:
                names = ", ".join(map(str, open_))
                _LOG.warning(
                    "%s waits for %d of %d others (ranks %s)",
                    self.world, len(open_), len(others), names,
                )  # fmt: skip
                reminded = time.monotonic()
            time.sleep(_POLL)

    def _is_done(self, rank: int) -> bool:
        """Whether a second read shows that the rank has finished since the first one."""
        return (self._read_status(rank) or {}).get("state") == "done"

    def _read_status(self, rank: int) -> dict[str, Any] | None:
        """The status of ``rank`` in this run; None before the rank has read the announcement."""
        for path in _status_files(self._target, f"{rank}of{self.world.size}"):
            value = _read(path)
            if value is not None and value.get("run_id") == self._state["run_id"]:
                return value
        return None

    def _look(self) -> bool:
        found = [_read(path) for path in _status_files(self._target, f"*of{self.world.size}")]
        tokens = sorted(value["token"] for value in found if value is not None)
        with self._lock:
            changed = bool(tokens != self._state["tokens"])
            self._state["tokens"] = tokens
        return changed

    def _tidy(self) -> None:
        clear(self._target)


class Worker(_Participant):
    """A rank above 0: starts when rank 0 allows it, and reports completion. Use as a context manager.

    Args:
        target: the results file; the names of the rendezvous files contain its name.
        world: this process.
    """

    def __init__(self, target: Path, world: World) -> None:
        token = uuid.uuid4().hex
        path = target.with_name(f".{target.name}.rank{world.rank}of{world.size}.{token[:8]}.status")
        super().__init__(target, world, path)
        self._state = {"token": token, "run_id": None, "state": "waiting", "payload": {}}
        self._trouble: str | None = None

    @property
    def launch(self) -> str | None:
        """The id of this run, known to all of its processes; None before ``join``."""
        run_id: str | None = self._state["run_id"]
        return run_id

    def join(self) -> None:
        """Wait until rank 0 allows this rank to start.

        Raises:
            Unfinished: rank 0 failed, exited or sent no heartbeat.
        """
        monitor = _HeartbeatMonitor(self.world.timeout)
        while True:
            announcement = self._read_announcement()
            # A coordinator that failed before it read this rank's status is recognised by the launch.
            mine = announcement is not None and (
                self._state["token"] in announcement["tokens"]
                or (
                    announcement["launch"] is not None
                    and announcement["launch"] == self.world.launch
                )
            )
            if announcement is not None and mine and announcement["state"] == "failed":
                raise Unfinished(f"{self.world}: rank 0 stopped: {announcement['message']}")
            if (
                announcement is not None
                and mine
                and self._state["run_id"] != announcement["run_id"]
            ):
                self._set(run_id=announcement["run_id"])
            if announcement is not None and mine and announcement["state"] == "ready":
                self._set(state="working")
                return
            why = monitor.why_dead(announcement if mine else None)
            if why is not None:
                raise Unfinished(f"{self.world}: rank 0: {why}")
            time.sleep(_POLL)

    def check(self) -> None:
        """Check that rank 0 is still running.

        Raises:
            Unfinished: rank 0 failed or exited, or another run has replaced it.
        """
        if self._trouble is not None:
            raise Unfinished(f"{self.world}: {self._trouble}; {_RESUME_HINT}")

    def done(self, payload: Mapping[str, Any]) -> None:
        """Send the result of this rank (JSON values) to rank 0, and wait until rank 0 has finished.

        Raises:
            Unfinished: rank 0 failed, exited or sent no heartbeat.
        """
        self._set(state="done", payload=dict(payload))
        monitor = _HeartbeatMonitor(self.world.timeout)
        missed = 0
        while missed < 2:  # a single failure may be temporary on a network file system
            announcement = self._read_announcement()
            gone = announcement is None or announcement["run_id"] != self._state["run_id"]
            missed = (
                missed + 1 if gone else 0
            )  # only a coordinator that has finished removes its announcement
            if announcement is not None and not gone:
                if announcement["state"] == "failed":
                    raise Unfinished(
                        f"{self.world}: rank 0 stopped: {announcement['message']}; {_RESUME_HINT}"
                    )
                why = monitor.why_dead(announcement)
                if why is not None and self._read_announcement() is not None:
                    raise Unfinished(f"{self.world}: rank 0: {why}; {_RESUME_HINT}")
            time.sleep(_POLL)

    def _read_announcement(self) -> dict[str, Any] | None:
        return _read(_announcement_path(self._target))

    def _look(self) -> bool:
        if self._state["state"] == "working" and self._trouble is None:
            announcement = self._read_announcement()
            if announcement is None:
                return False
            if announcement["run_id"] != self._state["run_id"]:
                self._trouble = "another run has taken over"
            elif announcement["state"] == "failed":
                self._trouble = f"rank 0 stopped: {announcement['message']}"
            elif _is_dead(announcement):
                self._trouble = "rank 0 has ended without finishing"
        return False

    def _tidy(self) -> None:
        self._path.unlink(missing_ok=True)


def clear(target: Path) -> None:
    """Remove the rendezvous files of all runs that wrote ``target``."""
    for path in (_announcement_path(target), *_status_files(target, "*of*")):
        path.unlink(missing_ok=True)
        part_path(path).unlink(missing_ok=True)


def _announcement_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.ranks")


def _status_files(target: Path, which: str) -> list[Path]:
    """The status files of a rank and world size, ``1of2``; either may be ``*``."""
    pattern = f".{glob.escape(target.name)}.rank{which}.*.status"
    return sorted(target.parent.glob(pattern))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # missing or just removed; network file systems show changes late
    return value if isinstance(value, dict) else None


def _machine() -> str:
    """An id of the process namespace: containers on one machine have different ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


_ME = {"host": socket.gethostname(), "machine": _machine()}


def _is_dead(value: Mapping[str, Any]) -> bool:
    """Whether the process that wrote ``value`` ran on this machine and has exited."""
    if value.get("machine") != _ME["machine"] or sys.platform == "win32":
        return False  # on another machine, or on Windows, where signal 0 is CTRL_C_EVENT
    try:
        os.kill(value["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(value["pid"])


def _is_zombie(pid: int) -> bool:
    """Whether the process has exited and its parent has not waited for it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
