"""Texts that do not stay in memory: a temporary file without a name, read by number."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from array import array
from contextlib import suppress
from pathlib import Path
from typing import IO

from x3spatial.io.files import naming


class Spool:
    """Appends texts and reads them by number, from any thread. The file vanishes with the process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed in close()
        # Also where what holds this one could not be made, because the disk was full.
        self.close = weakref.finalize(self, _close, self._file)
        """Give the file back; it may be called again."""
        self._ends = array("q", [0])
        self._lock = threading.Lock()
        self._flushed = 0

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, text: str) -> int:
        """Append a text; returns its number.

        Raises:
            OSError: the disk is full; the error names the folder.
        """
        data = text.encode("utf-8", "surrogatepass")
        with self._lock, naming(self._folder):
            self._file.write(data)
            self._ends.append(self._ends[-1] + len(data))
            return len(self._ends) - 2

    def get(self, number: int) -> str:
        """The text of a number.

        Raises:
            OSError: the disk is full, and the text was not written yet.
        """
        start, end = self._ends[number], self._ends[number + 1]
        with self._lock, naming(self._folder):
            if end > self._flushed:
                self._file.flush()
                self._flushed = self._ends[-1]
            self._file.seek(start)
            data = self._file.read(end - start)
            self._file.seek(0, os.SEEK_END)
        return data.decode("utf-8", "surrogatepass")


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # what is buffered does not matter
        file.close()
