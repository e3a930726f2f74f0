"""Errors as one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from x3spatial.errors import Reported, UserError
from x3spatial.program import signals
from x3spatial.texts import printable

DEBUG_VARIABLE = "X3_DEBUG"
"""An environment variable: if it is set and not 0, errors are printed with their traceback."""

_LONGEST = 2000
"""Characters of a line; the middle of a longer one is left out."""
FULL = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)
)
"""Numbers of the errors of a full disk or quota."""
_BLANKS = {ord(space): " " for space in "\t\n\r\v\f"}


def one_line(text: str) -> str:
    """``text`` on one line of at most 2,000 characters, without characters that control a terminal."""
    line = printable(text.strip().translate(_BLANKS)).encode("utf-8", "backslashreplace").decode()
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - 500]} … {line[-490:]}"
    return line


def guarded(work: Callable[[], int], *, debug: Callable[[], bool] = lambda: False) -> int:
    """The exit code of ``work``; an error is one line on stderr and its code.

    Args:
        work: returns an exit code.
        debug: whether an error that is not ``Reported`` is printed with its traceback; the environment
            variable ``X3_DEBUG`` asks for it too.
    """
    try:
        return work()
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or signals.interrupted():
            signals.noticed()
            if signals.announces():
                _print(signals.MESSAGE)
            return signals.EXIT_CODE
        known = reported(error)
        if not isinstance(error, Reported) and (
            debug() or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
        ):
            traceback.print_exception(error)
        if known is None:
            _print(f"x3: {_bug(error)}")
            return 1
        _print(f"x3: {one_line(str(known))}")
        return known.exit_code


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def reported(error: BaseException) -> Reported | None:
    """The error that a user can act on; None for one that is a bug."""
    if isinstance(error, Reported):
        return error
    if isinstance(error, OSError):
        return UserError(_system_error(error))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        detail = f" ({one_line(str(error))[:200]})" if str(error) else ""
        return UserError(
            f"out of memory{detail}; use fewer workers, a smaller batch or smaller images; the same"
            " command continues"
        )
    if isinstance(error, RecursionError):
        return UserError(
            "data is nested too deep to be read; check the files that the command names"
        )
    if isinstance(error, UnicodeError):
        return UserError(_text_error(error))
    return None


def _system_error(error: OSError) -> str:
    name = error.filename2 if error.filename2 is not None else error.filename
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in FULL:
        reason += "; make room, then the same command continues"
    elif error.errno == errno.EMFILE:
        reason += "; use fewer workers, or raise the limit with ulimit -n"
    if name is not None:
        return f"{os.fsdecode(name) if isinstance(name, (str, bytes)) else name}: {reason}"
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return "the current folder has been deleted; change to another one"
    return reason


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _text_error(error: UnicodeError) -> str:
    given = getattr(error, "object", None)
    if isinstance(error, UnicodeEncodeError) and isinstance(given, str):
        near = given[max(0, error.start - 60) : error.end + 20]
        return f"{near!r} is not valid Unicode: a name or text that is not UTF-8; rename or mend it"
    return f"text that is not UTF-8: {error}"


def reason(error: BaseException) -> str:
    """A line about any error: what a user can act on, or what happened and where."""
    known = reported(error)
    return one_line(str(known)) if known is not None else f"{_what(error)}{_place(error)}"


def _bug(error: BaseException) -> str:
    """A line about an error that nobody foresaw, with the place in our code."""
    return (
        f"internal error{_place(error)}: {_what(error)} (please report it; {DEBUG_VARIABLE}=1 prints the"
        " traceback)"
    )


def _what(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:500]


def _place(error: BaseException) -> str:
    """`` at FILE:LINE`` of our code; empty if the error has none."""
    package, here = Path(__file__).parent.parent, Path(__file__)
    files = [(Path(f.filename), f) for f in traceback.extract_tb(error.__traceback__)]
    ours = [frame for file, frame in files if file.is_relative_to(package) and file != here]
    if not ours:
        return ""
    file = Path(ours[-1].filename).relative_to(package.parent).as_posix()
    return f" at {file}:{ours[-1].lineno}"
