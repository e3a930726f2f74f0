"""SIGTERM and SIGHUP end a program as Ctrl-C does: by ``KeyboardInterrupt``, with one line and code 130.

A handler in Python only runs when the main thread returns to Python. It may be in a call that takes minutes
(a collective of torch.distributed), or in a callback that ignores exceptions (imports have many of them). So
a second thread is told of each signal at once, and ends the process if nothing happens.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

EXIT_CODE = 130
"""Of a program that was interrupted: that of shells for a process that SIGINT ended."""
MESSAGE = "x3: interrupted; the same command continues where it stopped"

_NUMBERS = {
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
}
"""The signals that ask to end."""
_REPEATED = 1.0
"""Seconds in which further signals count as the same: a closed terminal sends several."""
_UNHANDLED = 5.0
"""Seconds that the main thread has to notice a signal."""
_LOOK = 0.5
"""Seconds between two looks at whether it does."""
_CLEANUP = 30.0
"""Seconds that it has to end afterwards. Finished work is on disk, so ending it then loses none."""


class _State:
    owner: int | None = None
    """The process that installed the handlers; forked children inherit them."""
    first: float | None = None
    """When the first signal was handled."""
    over: bool = False
    """Whether the work has ended; signals raise no exception any more."""
    ends_early: bool = False
    """Whether the process ends before Python frees its objects."""


def install() -> None:
    """Handle the signals in this process; those that are ignored (``nohup``) stay ignored."""
    if _State.owner is not None or threading.current_thread() is not threading.main_thread():
        return
    _State.owner = os.getpid()
    for number in _NUMBERS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _on_signal)
    sys.unraisablehook = _on_unraisable
    atexit.register(_leave)  # before others register: the last one to run
    if hasattr(os, "register_at_fork"):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # A signal of a forked child is not one of this process.
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def interrupted() -> bool:
    """Whether a signal has asked this process to end; any error after that is a consequence of it."""
    return _State.first is not None and _State.owner == os.getpid()


def stopping() -> bool:
    """Whether the work ends because of an interrupt, so that what is running is not awaited."""
    return interrupted() or isinstance(sys.exception(), KeyboardInterrupt)


def noticed() -> None:
    """The work has ended because of the interrupt: nobody needs to be told again."""
    _State.over = True


def work_is_over() -> None:
    """Further signals end the process at once: an exception would find nobody to handle it."""
    _State.over = True
    # An interrupt that left the text of an exec (dataclasses do that while they are imported) makes Python
    # end the process by SIGINT in place of its exit code, unless another one has run since.
    exec("")  # noqa: S102


def end_without_finalization() -> None:
    """Let this process, which was interrupted, end after the functions of ``atexit``.

    An interrupted collective leaves threads of torch behind. They end as soon as Python frees its objects,
    some of them with ``terminate called without an active exception`` and an abort (Python up to 3.13).
    """
    _State.ends_early = True


def _leave() -> None:
    if _State.ends_early and _State.owner == os.getpid():
        os._exit(EXIT_CODE)


def announces() -> bool:
    """Whether this process prints that it was interrupted: of several, only the first does."""
    return os.environ.get("RANK", "0") == "0" and PARENT_VARIABLE not in os.environ


PARENT_VARIABLE = "X3_PARENT_PID"
"""Set for processes that ``x3 recipe run`` starts, which reports for them: the process they end with."""


def _on_signal(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.owner:
        os._exit(EXIT_CODE)  # the parent prints the line
    now = time.monotonic()
    if _State.first is None and not _State.over:
        _State.first = now
        raise KeyboardInterrupt
    if _State.first is None or now - _State.first > _REPEATED:
        _end()


def _end() -> None:
    if announces():
        os.write(2, f"{MESSAGE}\n".encode())
    os._exit(EXIT_CODE)


def _on_unraisable(found: Any) -> None:
    """A callback ignored the interrupt: raise it once more, a little later."""
    if found.exc_type is not KeyboardInterrupt or _State.owner != os.getpid() or _State.over:
        sys.__unraisablehook__(found)
        return
    _State.first = None
    again = threading.Timer(0.05, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _watch(reader: int) -> None:
    """End the process if the main thread does not."""
    while not _NUMBERS & set(os.read(reader, 64)):
        pass  # other handlers of Python's, such as torch's for SIGCHLD
    told = time.monotonic()
    while time.monotonic() - told < (_UNHANDLED if _State.first is None else _CLEANUP):
        time.sleep(_LOOK)
        if _State.first is not None and not _State.over and not _unwinding():
            # Some library caught everything while it was imported, the interrupt too.
            _State.first = None
            _tell_again()
    if os.getpid() == _State.owner:
        _end()


def _tell_again() -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)  # also ends a system call that waits
    else:  # Windows
        _thread.interrupt_main()


def _unwinding() -> bool:
    """Whether the main thread handles an interrupt, in an except or finally block or at the end of a with."""
    found = sys._current_exceptions().get(threading.main_thread().ident or 0)
    # Python 3.11 has the exception's triple, later versions the exception.
    error = found[1] if isinstance(found, tuple) else found
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


@contextmanager
def inherited_blocked() -> Iterator[None]:
    """Processes started in the block begin with the signals blocked that ask to end.

    Ctrl-C reaches every process of a terminal. One that is still importing would print a traceback; it
    handles signals once it has started. Here they wait until the end of the block: a process that is half
    started would find no work and print a traceback too.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """For a worker process: its parent is told of Ctrl-C and of a closed terminal too, and ends it."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)
