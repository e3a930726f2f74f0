"""The ranks of one launch meet through ``torch.distributed``: they wait, gather and pass results with gloo.

torchrun, accelerate or a person start the processes and say where they meet (MASTER_ADDR, MASTER_PORT).
A rank is lost when its process ends, never because it is slow: its connections close, gloo notices, and the
others end too. The reason of a rank that fails is put into the store of the rendezvous first, so that
the others can name it.

torch is imported here alone in this package, when there is a world.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from x3spatial.engine.world import World
from x3spatial.errors import Unfinished, UserError, packages_of

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup, Store, Work

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_JOIN = 600.0
"""Seconds in which all processes must have come, as for torchrun's own rendezvous. Launchers start the
processes together, and each comes before it loads anything."""
_POLL = 0.1
_CHECK = 1.0
"""Least time between two looks for failed ranks, in seconds; batches of baselines take microseconds."""
_REMIND = 60.0
_LINGER = 3.0
"""Seconds that a failed rank stays, so that waiting ranks can read its reason: it may host the store."""
_PART = 5.0
"""Seconds that rank 0 stays at the end, until the others have left the store."""
_RESUME_HINT = (
    "answers so far are kept: the same command, with any number of processes, asks the rest"
)
_FAILED, _SEEN = "failed", "seen"


class Meeting:
    """The processes of one launch, after their rendezvous; see ``meet``."""

    def __init__(self, world: World, store: Store, group: ProcessGroup) -> None:
        self.world = world
        self._store = store
        self._group = group
        self._round = 0
        self._checked = time.monotonic()

    def check(self) -> None:
        """Check that no other rank has failed; called between batches.

        Raises:
            Unfinished: one has, or rank 0, which hosts the store, has ended.
        """
        if time.monotonic() - self._checked < _CHECK:
            return
        self._checked = time.monotonic()
        try:
            reason = self._failure()
        except RuntimeError:
            raise self._lost("rank 0 has ended without finishing") from None
        if reason is not None:
            raise self._lost(reason)

    def wait(self) -> None:
        """Wait until every rank is here.

        Raises:
            Unfinished: a rank failed, ended, or did not come within the timeout.
        """
        self.gather((0,))

    def gather(self, numbers: Sequence[int]) -> list[list[int]]:
        """Wait until every rank has given as many numbers; all receive those of all, in order of rank.

        Raises:
            Unfinished: a rank failed, ended, or did not come within the timeout.
        """
        import torch
        from torch import distributed

        mine = torch.tensor(list(numbers), dtype=torch.int64)
        all_ = [torch.zeros_like(mine) for _ in range(self.world.size)]
        self._finish(distributed.all_gather(all_, mine, self._group, async_op=True))
        return [part.tolist() for part in all_]

    def from_first(self, value: T | None) -> T:
        """Wait until rank 0 has given ``value``; all receive it.

        Args:
            value: can be pickled; that of other ranks than 0 is ignored.

        Raises:
            Unfinished: a rank failed, ended, or did not come within the timeout.
        """
        import torch

        data = bytearray(pickle.dumps(value) if self.world.leads else b"")
        size = torch.tensor([len(data)], dtype=torch.int64)
        self._broadcast(size)
        content = torch.zeros(int(size), dtype=torch.uint8)
        if self.world.leads:
            content = torch.frombuffer(data, dtype=torch.uint8)
        self._broadcast(content)
        found: T = pickle.loads(content.numpy().tobytes())  # from rank 0 of this launch  # noqa: S301
        return found

    def _broadcast(self, tensor: Any) -> None:
        from torch import distributed

        work = distributed.broadcast(tensor, group=self._group, group_src=0, async_op=True)
        self._finish(work)

    def fail(self, error: BaseException) -> None:
        """Tell the other ranks why this one ends."""
        message = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyboardInterrupt):
            message = "interrupted"
        with suppress(RuntimeError):  # the store is gone: so are the others
            self._store.compare_set(_FAILED, "", f"rank {self.world.rank} stopped: {message}")
            until = time.monotonic() + (0 if isinstance(error, KeyboardInterrupt) else _LINGER)
            while time.monotonic() < until:
                if self._store.add(_SEEN, 0) >= self.world.size - 1:
                    break
                time.sleep(_POLL)

    def _failure(self) -> str | None:
        """Why another rank failed; None if none did.

        Raises:
            RuntimeError: the store is gone.
        """
        if not self._store.check([_FAILED]):
            return None
        self._store.add(_SEEN, 1)
        return str(self._store.get(_FAILED).decode("utf-8", "replace"))

    def _lost(self, reason: str) -> Unfinished:
        return Unfinished(f"{self.world}: {reason}; {_RESUME_HINT}")

    def _finish(self, work: Work) -> None:
        """Wait for a collective; interrupts are handled meanwhile, and failures of other ranks are read.

        Raises:
            Unfinished: a rank failed, ended, or did not come within the timeout.
        """
        self._round += 1
        begun = reminded = time.monotonic()
        reason = None
        with suppress(RuntimeError):
            self._store.set(f"{self._round}/{self.world.rank}", "")
        while not work.is_completed():
            now = time.monotonic()
            with suppress(RuntimeError):  # if the store is gone, gloo will notice
                reason = reason or self._failure()
            if reason is not None and now - begun > _LINGER:
                break  # else its connections close soon, and the collective ends
            if now - reminded > _REMIND:
                _LOG.warning("%s waits for %s", self.world, self._missing())
                reminded = now
            time.sleep(_POLL)
        else:
            try:
                work.wait()
                return
            except RuntimeError:
                with suppress(RuntimeError):
                    reason = reason or self._failure()
        if reason is None:
            reason = f"{self._missing()} ended without finishing"
            if time.monotonic() - begun >= self.world.timeout:
                reason = (
                    f"{self._missing()} did not finish within {self.world.timeout:g} s"
                    " (--process-timeout)"
                )
                self.fail(Unfinished(reason))
        raise self._lost(reason)

    def _missing(self) -> str:
        """The ranks that have not come to the present collective, in words."""
        missing = []
        with suppress(RuntimeError):
            for rank in range(self.world.size):
                if not self._store.check([f"{self._round}/{rank}"]):
                    missing.append(rank)
        if not missing:
            return "a rank"
        return ("rank " if len(missing) == 1 else "ranks ") + ", ".join(map(str, missing))


_open: list[Meeting] = []
_number = 0


@contextmanager
def meet(world: World, environment: Mapping[str, str] = os.environ) -> Iterator[Meeting]:
    """The meeting of all ranks of ``world``; within another one, that one.

    An error that leaves the block ends the other ranks too, with its message.

    Raises:
        UserError: torch is not installed, or MASTER_ADDR or MASTER_PORT is missing or invalid.
        Unfinished: not all processes came.
    """
    global _number
    if _open:
        yield _open[-1]
        return
    store, group = _rendezvous(world, environment)
    from torch.distributed import PrefixStore

    _number += 1  # every rank counts the same: keys of an earlier meeting do not matter
    meeting = Meeting(world, PrefixStore(f"x3-{_number}", store), group)
    _open.append(meeting)
    try:
        yield meeting
    except BaseException as error:
        atexit.unregister(_leave)  # the others may never come
        if not isinstance(error, Unfinished):  # else they know
            meeting.fail(error)
        raise
    finally:
        _open.remove(meeting)


_joined: list[tuple[Store, ProcessGroup]] = []
"""The store and the group of this process; kept until it ends, so that evaluations can follow each other."""


def _rendezvous(world: World, environment: Mapping[str, str]) -> tuple[Store, ProcessGroup]:
    if _joined:
        return _joined[0]
    place = (
        "" if "torch.distributed" in sys.modules else _place(environment)
    )  # before a long import
    with packages_of("hf", "RANK and WORLD_SIZE (evaluation by several processes)"):
        from torch import distributed
    if not (distributed.is_available() and distributed.is_gloo_available()):
        raise UserError(
            "RANK and WORLD_SIZE: this torch has no gloo, through which processes meet; install another"
            " build of torch, or unset both"
        )
    timeout = timedelta(seconds=world.timeout)
    if distributed.is_initialized():  # by the script that calls us, maybe with NCCL
        group = distributed.new_group(backend="gloo", timeout=timeout)
        store = distributed.distributed_c10d._get_default_store()
        _joined.append((store, group))
        return store, group
    place = place or _place(environment)
    joining = min(_JOIN, world.timeout)
    try:
        store, rank, size = next(
            distributed.rendezvous(
                "env://",
                rank=world.rank,
                world_size=world.size,
                timeout=timedelta(seconds=joining),
            )
        )
        distributed.init_process_group(
            "gloo",
            store=distributed.PrefixStore("x3", store),
            rank=rank,
            world_size=size,
            timeout=timeout,
        )
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        if "EADDRINUSE" in text or "address already in use" in text.lower():
            raise UserError(
                f"environment MASTER_PORT: {place} is in use by another program; choose a free port"
            ) from None
        if "imed out" in text or "timeout" in text.lower():
            raise Unfinished(
                f"{world}: not all {world.size} processes came to {place} (MASTER_ADDR, MASTER_PORT)"
                f" within {joining:g} s; start them all, at an address that all machines reach"
            ) from None
        raise Unfinished(
            f"{world}: the processes cannot meet at {place} (MASTER_ADDR, MASTER_PORT; for several network"
            f" interfaces GLOO_SOCKET_IFNAME): {text[:300]}"
        ) from None
    group = distributed.group.WORLD
    assert group is not None, "it was just created"
    atexit.register(_leave, world, store)
    _joined.append((store, group))
    return store, group


def _place(environment: Mapping[str, str]) -> str:
    """``HOST:PORT`` of the rendezvous.

    Raises:
        UserError: MASTER_ADDR or MASTER_PORT is missing or invalid.
    """
    for name, what in (
        ("MASTER_ADDR", "the host of rank 0"),
        ("MASTER_PORT", "a free port of that host"),
    ):
        if not environment.get(name):
            raise UserError(
                f"environment {name} is not set; start all processes with torchrun or accelerate, or set it"
                f" to {what} (or unset RANK and WORLD_SIZE)"
            )
    host, port = environment["MASTER_ADDR"], environment["MASTER_PORT"]
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UserError(f"environment MASTER_PORT is {port!r}, not a port number")
    return f"{host}:{port}"


def _leave(world: World, store: Store) -> None:
    """At exit: rank 0 waits for the others to leave; the group ends."""
    from torch import distributed

    _part(world, distributed.PrefixStore("x3-end", store))
    distributed.destroy_process_group()


def _part(world: World, store: Store) -> None:
    """Rank 0 may host the store, so it leaves last."""
    with suppress(RuntimeError):
        left = store.add("left", 1)
        until = time.monotonic() + (_PART if world.leads else 0)
        while left < world.size and time.monotonic() < until:
            time.sleep(_POLL)
            left = store.add("left", 0)
