"""An append-only log of finished work, from which an interrupted run is continued."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

from x3spatial.io.files import naming


class Journal:
    """An append-only file of JSON lines, from which an interrupted run is continued.

    A process that is killed during a write leaves an incomplete last line, which is removed when the journal
    is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def entries(self) -> Iterator[tuple[int, Any]]:
        """(byte offset, value) of every complete line, oldest first."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            offset = 0
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    value = json.loads(line)
                except ValueError:
                    return  # lines after a damaged one are not reliable either
                yield offset, value
                offset += len(line)

    def value_at(self, offset: int) -> Any:
        """The value of the line that starts at byte ``offset``, from ``entries`` or ``append``."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            return json.loads(file.readline())

    def open(self, *, fresh: bool = False) -> Self:
        """Open for appending; ``fresh`` discards existing lines."""
        end = 0
        if not fresh and self.path.exists():
            for offset, _ in self.entries():
                end = offset
            with open(self.path, "rb") as file:
                file.seek(end)
                line = file.readline()
                end += len(line) if line.endswith(b"\n") else 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()
        self._file.truncate(end)
        return self

    def append(self, value: Any) -> int:
        """Append one line and flush it to the operating system; returns its byte offset."""
        assert self._file is not None, "call open() first"
        offset = self._file.seek(0, os.SEEK_END)
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        with naming(self.path):
            self._file.write(line.encode() + b"\n")
            self._file.flush()
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
