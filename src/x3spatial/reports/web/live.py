"""A report that follows its inputs: read again whenever results or journals change, with a version number."""

from __future__ import annotations

import glob
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.io.members import file_at
from x3spatial.progress import without_progress
from x3spatial.reports.web.images import Picture, Pictures
from x3spatial.reports.web.site import Site

_LOG = logging.getLogger("x3spatial")
_POLL_SECONDS = 1.0
_REST = 3
"""After reading, so many times as long passes before it is read again: the rest is left to the run."""

State = tuple[tuple[str, int, int], ...]


def state_of(inputs: Sequence[Path]) -> State:
    """(path, size, modification time) of every results file and journal below ``inputs``."""
    found = []
    for path in inputs:
        beside = (
            path.parent.glob(f".{glob.escape(path.name)}*.journal") if not path.is_dir() else ()
        )
        below = (*path.rglob("*.json"), *path.rglob(".*.journal")) if path.is_dir() else (path,)
        for file in (*below, *beside):
            try:
                stat = file.stat()
            except OSError:
                continue
            found.append((str(file), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


@dataclass(slots=True)
class _Held:
    """A version of the report, closed when nobody reads it any more."""

    site: Site
    version: int
    readers: int = 0
    retired: bool = False
    scripts: Mapping[str, Callable[[Mapping[int, Picture]], bytes]] = field(default_factory=dict)


class LiveSite:
    """The latest version of a report.

    Args:
        make: reads the inputs.
        inputs: what is watched.

    Raises:
        UserError: the inputs cannot be read.
    """

    def __init__(self, make: Callable[[], Site], inputs: Sequence[Path]) -> None:
        self._make = make
        self._inputs = inputs
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._state = state_of(inputs)
        self._held = self._read(1)
        self.files: dict[str, tuple[Pictures, int]] = {}
        """Name of a picture's file → where it is made. Names stay when versions change."""
        self._thread = threading.Thread(target=self._watch, name="x3-view", daemon=True)

    def start(self) -> None:
        """Begin to watch the inputs."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching and give temporary files back."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._retire(self._held)

    @property
    def version(self) -> int:
        """Grows by one with each change."""
        return self._held.version

    @property
    def title(self) -> str:
        """Of the page."""
        return self._held.site.title

    def script(self, name: str) -> bytes | None:
        """The script ``data/{name}.js``; None if there is none."""
        with self._reading() as held:
            make = held.scripts.get(name)
            return None if make is None else make(_Pictures(self, held.site.pictures))

    @contextmanager
    def _reading(self) -> Iterator[_Held]:
        with self._lock:
            held = self._held
            held.readers += 1
        try:
            yield held
        finally:
            with self._lock:
                held.readers -= 1
                unused = held.retired and held.readers == 0
            if unused:
                held.site.close()

    def _retire(self, held: _Held) -> None:
        with self._lock:
            held.retired = True
            unused = held.readers == 0
        if unused:
            held.site.close()

    def _read(self, version: int) -> _Held:
        site = self._make()
        site.live = True
        return _Held(site, version, scripts=site.scripts())

    def _watch(self) -> None:
        pause = _POLL_SECONDS
        while not self._ended.wait(pause):
            pause = _POLL_SECONDS
            started = time.monotonic()
            state = state_of(self._inputs)
            if state == self._state:
                # Many files take long to look at; most of the time is left to others.
                pause = max(pause, _REST * (time.monotonic() - started))
                continue
            self._state = state
            try:
                with without_progress():
                    new = self._read(self._held.version + 1)
            except (UserError, OSError) as error:  # a file is being written, or was removed
                _LOG.debug("not read again: %s", error)
            else:
                old, self._held = self._held, new
                self._retire(old)
            pause = max(pause, _REST * (time.monotonic() - started))


class _Pictures(Mapping[int, Picture]):
    """Pictures whose files are made when the browser asks for them."""

    def __init__(self, live: LiveSite, pictures: Pictures) -> None:
        self._live = live
        self._pictures = pictures

    def __getitem__(self, number: int) -> Picture:
        path = self._pictures.paths[number]
        try:
            stat = file_at(path).stat()
            state = f"{path} {stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = path
        name = (
            f"images/{hashlib.sha256(state.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.webp"
        )
        self._live.files[name] = self._pictures, number
        return self._pictures.stated(number, name)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._pictures.paths)))

    def __len__(self) -> int:
        return len(self._pictures.paths)
