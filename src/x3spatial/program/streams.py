"""Standard streams that never end a run: a reader that has gone, a full disk, a descriptor that is closed.

``x3 build … | head -1`` is no reason to stop a build, and output that is lost is reported at the end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_READER_GONE = {errno.EPIPE, errno.EINVAL} if os.name == "nt" else {errno.EPIPE}


class _Tolerant(io.FileIO):
    """A descriptor; after an error its output is dropped."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """As ``FileIO``, without raising."""
        if self.lost is None:
            try:
                return super().write(data) or 0
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


class _State:
    output: _Tolerant | None = None
    errors: int | None = None
    """A descriptor of stderr that Python alone writes to; None before ``protect``."""
    nothing: int = -1
    """A descriptor of the null device."""
    lock = threading.Lock()
    inside = 0
    """Blocks of ``native_silenced`` that are running."""


def protect() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` of this process by streams that do not raise.

    Text that their encoding does not have is written with backslashes. Descriptors that are closed are
    opened on the null device, because the next file would get their number and receive what is printed.
    """
    if _State.errors is not None:
        return
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    _State.nothing = os.open(os.devnull, os.O_WRONLY)
    _State.errors = os.dup(2)
    _State.output = _Tolerant(1, "wb", closefd=False)
    sys.stdout = _text(_State.output, sys.stdout, lines=False)
    sys.stderr = _text(_Tolerant(_State.errors, "wb", closefd=False), sys.stderr, lines=True)


def _text(raw: io.FileIO, before: Any, *, lines: bool) -> io.TextIOWrapper:
    if before is not None:
        before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=lines or raw.isatty(),
    )


def close(code: int) -> int:
    """Write what is buffered, and return the exit code of a program whose work ended with ``code``.

    A reader that has gone did not want the rest. Any other error means that output is missing: code 2, if
    it was 0.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed, and the work was interrupted before ``protect``
            stream.flush()
    lost = None if _State.output is None else _State.output.lost
    if lost is None or lost.errno in _READER_GONE:
        return code
    print(
        f"x3: standard output: {lost.strerror}; a part of it is lost", file=sys.stderr, flush=True
    )
    return code or 2


@contextmanager
def native_silenced() -> Iterator[None]:
    """Drop what C libraries write to stderr in the block, in a process of ``protect``.

    libpng and libjpeg print messages without the name of the file, whose damage is reported with it.
    """
    if _State.errors is None:
        yield
        return
    with _State.lock:
        _State.inside += 1
        if _State.inside == 1:
            os.dup2(_State.nothing, 2)
    try:
        yield
    finally:
        with _State.lock:
            _State.inside -= 1
            if _State.inside == 0:
                os.dup2(_State.errors, 2)
