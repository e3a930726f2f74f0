"""``command:PROGRAM``: any program that reads an image and a mask and writes an image.

The program is started without a shell, once per image, with PNG files in a temporary folder of its own, which
is removed afterwards with everything that the program left there. It ends with x3.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from x3spatial.arrays import Bool, UInt8
from x3spatial.inpainting.arguments import needed
from x3spatial.inpainting.base import Engine, EngineError, ImageName, InpaintingError
from x3spatial.io.images import ImageError, encode_mask_png, encode_png, read_rgb
from x3spatial.texts import quoted

PLACES = ("{image}", "{mask}", "{out}")
"""What the command line has in place of the files' paths. Without any of them the paths are appended."""
_KILL_AFTER = 3.0
"""Seconds between the request to end and the end by force."""
_TAIL = 4096
"""Bytes at the end of the program's output in which a message is looked for."""


class Command(Engine):
    """Runs a program per image."""

    kind = "command"

    def __init__(self, arguments: Sequence[str], timeout: float) -> None:
        self.arguments = tuple(arguments)
        self.timeout = timeout

    @classmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine of a command line.

        Raises:
            EngineError: it cannot be split into words, its program is missing, or it has some of the
                placeholders but not all.
        """
        line = needed(cls.kind, argument, '"PROGRAM {image} {mask} {out}"')
        try:
            words = shlex.split(line, posix=os.name == "posix")
        except ValueError as error:
            raise EngineError(f"{str(error).lower()}; quote it as for a shell") from None
        if not words or not words[0]:
            raise EngineError("names no program")
        missing = [place for place in PLACES if not any(place in word for word in words[1:])]
        if len(missing) == len(PLACES):
            words += PLACES
        elif missing:
            raise EngineError(
                f"has no {' and no '.join(missing)}; give all of {' '.join(PLACES)}, or none"
                " to have the three paths appended"
            )
        if shutil.which(words[0]) is None:
            raise EngineError(f"no program {words[0]!r} that can be run; check its path")
        return cls(words, timeout)

    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Run the program on one image.

        Raises:
            InpaintingError: it failed, took too long, or wrote no image of the same size.
        """
        # The program's own leftovers may be write-protected: they must not end the run.
        with (
            _cleaned_up_on_termination(),
            tempfile.TemporaryDirectory(prefix="x3-inpaint-", ignore_cleanup_errors=True) as folder,
        ):
            paths = [Path(folder) / f"{kind}.png" for kind in ("image", "mask", "out")]
            paths[0].write_bytes(encode_png(image))
            paths[1].write_bytes(encode_mask_png(hole))
            try:
                self._run(paths)
                return _read(paths[2], image)
            except _FailedError as error:
                where = Path(self.arguments[0]) if name is None else name.path
                raise InpaintingError(where, f"{self.arguments[0]} {error}") from None

    def _run(self, paths: Sequence[Path]) -> None:
        """Start the program and wait for it.

        Raises:
            _FailedError: it cannot be started, took too long, or its exit code is not 0.
        """
        words = [self.arguments[0], *(_filled(word, paths) for word in self.arguments[1:])]
        with tempfile.TemporaryFile() as output:
            try:
                # A session of its own: all that it starts can be ended with it.
                process = subprocess.Popen(  # noqa: S603 - the user names the program
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise _FailedError(f"cannot be started: {error.strerror or error}") from None
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                raise _FailedError(
                    f"took more than {self.timeout:g} s; raise --inpaint-timeout"
                ) from None
            finally:
                _end(process)
            if code != 0:
                how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
                raise _FailedError(f"failed ({how}){_message(output)}")

    def describe(self) -> dict[str, Any]:
        """The kind and the command line. A changed program is not noticed; ``--fresh`` runs it again."""
        return {"kind": self.kind, "command": list(self.arguments)}


class _FailedError(Exception):
    """What went wrong with one image."""


class _TerminatedError(BaseException):
    """SIGTERM has come; not an ``Exception``, so that nothing in between handles it."""


def _filled(word: str, paths: Sequence[Path]) -> str:
    """A word of the command line with the paths in place of the placeholders."""
    for place, path in zip(PLACES, paths, strict=True):
        word = word.replace(place, str(path))
    return word


def _read(path: Path, image: UInt8) -> UInt8:
    """The image that the program wrote.

    Raises:
        _FailedError: there is none, it is damaged or has another size.
    """
    try:
        found = read_rgb(path)
    except ImageError as error:
        raise _FailedError(f"ended without error, but {{out}}: {error.reason}") from None
    if found.shape != image.shape:
        size = f"{found.shape[1]}x{found.shape[0]}"
        raise _FailedError(f"wrote an image of {size} for one of {image.shape[1]}x{image.shape[0]}")
    return found


def _message(output: IO[bytes]) -> str:
    """The last line that the program printed, as ``: 'text'``; empty if it printed nothing."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
    lines = output.read().decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f": {quoted(last)}" if last else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything that it started and that still runs."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if sys.platform == "win32":
            process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_AFTER)


@contextmanager
def _cleaned_up_on_termination() -> Iterator[None]:
    """SIGTERM ends this process after the block has cleaned up, instead of at once.

    The workers of a run are ended by SIGTERM; the program that one of them waits for would go on.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise _TerminatedError

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except _TerminatedError:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
