"""An append-only log of finished work, from which an interrupted run is continued."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Self

from x3spatial.errors import UserError
from x3spatial.io.files import naming
from x3spatial.io.opening import open_append, open_regular


class Journal:
    """An append-only file of JSON lines, from which an interrupted run is continued.

    A process that is killed during a write leaves an incomplete last line, which is removed when the journal
    is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def entries(self) -> Iterator[tuple[int, Any]]:
        """(byte offset, value) of every complete line, oldest first.

        Raises:
            UserError: the file cannot be read.
        """
        if not self.path.exists():
            return
        with self._reading() as file:
            offset = 0
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    return  # lines after a damaged one are not reliable either
                yield offset, value
                offset += len(line)

    def value_at(self, offset: int) -> Any:
        """The value of the line that starts at byte ``offset``, from ``entries`` or ``append``."""
        return json.loads(self.line_at(offset))

    def line_at(self, offset: int) -> bytes:
        """The line that starts at byte ``offset``, with its end."""
        with self._reading() as file:
            file.seek(offset)
            return file.readline()

    def _reading(self) -> BufferedReader:
        try:
            return open_regular(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def open(self, *, fresh: bool = False) -> Self:
        """Open for appending; ``fresh`` discards existing lines.

        Raises:
            UserError: the file is a symbolic link, or cannot be read.
        """
        end = 0
        if not fresh and next(self.entries(), None) is not None:
            for offset, _ in self.entries():
                end = offset
            with self._reading() as file:
                file.seek(end)
                line = file.readline()
                end += len(line) if line.endswith(b"\n") else 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_append(self.path)
        self._file.truncate(end)
        return self

    def append(self, value: Any) -> int:
        """Append one line and flush it to the operating system; returns its byte offset.

        Raises:
            OSError: it could not be written; the journal is closed then.
        """
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return self.append_line(line.encode() + b"\n")

    def append_line(self, line: bytes) -> int:
        """Append a line of another journal; otherwise as ``append``."""
        assert self._file is not None, "call open() first"
        offset = self._file.seek(0, os.SEEK_END)
        try:
            with naming(self.path):
                self._file.write(line)
                self._file.flush()
        except OSError:
            with suppress(OSError):
                self.close()
            raise
        return offset

    def sync(self) -> None:
        """Write appended lines to disk, where other machines with the same file system can read them."""
        assert self._file is not None, "call open() first"
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with naming(self.path):  # what an append could not write is tried again
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
