"""Folders that packs lie in: of this machine, or behind a URL that fsspec opens."""

from __future__ import annotations

import io
import os
import re
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from x3spatial.errors import UserError, packages_of
from x3spatial.io.files import replacing, write_bytes
from x3spatial.io.opening import new_part, open_regular, refuse_link

CLOUD = "cloud"
"""The extra with fsspec and its usual file systems."""
_URL = re.compile(r"((?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)
"""A scheme has two letters at least, unlike the drives of Windows. ``Path`` folds ``//`` to ``/``."""
_OF_THIS_MACHINE = ("file", "local")
_HAS_PREAD = hasattr(os, "pread")


def url_of(path: str | os.PathLike[str]) -> str | None:
    """The URL that ``path`` spells, also after ``Path`` has folded its ``//``; None: a path."""
    found = _URL.fullmatch(path if isinstance(path, str) else Path(path).as_posix())
    if found is None or found[1] in _OF_THIS_MACHINE:
        return None
    return f"{found[1]}://{found[2]}"


def local_path(path: str | Path) -> Path:
    """``path`` without the scheme ``file:``."""
    text = Path(path).as_posix()
    scheme, _, rest = text.partition(":/")
    return Path(f"/{rest.lstrip('/')}") if scheme in _OF_THIS_MACHINE else Path(path)


class Folder(ABC):
    """A folder whose files are named by relative paths with ``/``.

    Methods raise ``UserError`` in one line if the place cannot be reached.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        """Its path or URL, for messages and for finding it again."""

    def named(self, name: str) -> str:
        """How messages call a file."""
        return f"{self.place.rstrip('/')}/{name}"

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""

    @abstractmethod
    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """The bytes from ``start`` on, at most ``size``. Safe in threads and after a fork.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading with seeks.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def names(self) -> set[str]:
        """The files in the folder and in its folders, one level deep; empty if it does not exist."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""

    @abstractmethod
    def new_file(self, name: str) -> AbstractContextManager[Path]:
        """A file of this machine to write in the block, after which it is in the folder as ``name``."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it is there."""


class LocalFolder(Folder):
    """A folder of this machine. Files that are read in parts stay open."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._opened: dict[str, io.BufferedReader] = {}
        weakref.finalize(self, _close_all, self._opened)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return (self.path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"{self.named(name)}: {error.strerror or error}") from None

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """See ``Folder.read``."""
        if size is None or not _HAS_PREAD:
            with self.open(name) as file:
                file.seek(start)
                return file.read() if size is None else file.read(size)
        opened = self._opened.get(name)
        if opened is None:
            mine = self.open(name)
            opened = self._opened.setdefault(name, mine)
            if opened is not mine:  # another thread was faster
                mine.close()
        return os.pread(opened.fileno(), size, start)

    def open(self, name: str) -> io.BufferedReader:
        """See ``Folder.open``."""
        return open_regular(self.path / name)

    def names(self) -> set[str]:
        """See ``Folder.names``."""
        try:
            found = [*self.path.glob("*"), *self.path.glob("*/*")]
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror or error}") from None
        return {path.relative_to(self.path).as_posix() for path in found if not path.is_dir()}

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, data, fsync=True)

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """See ``Folder.new_file``."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        refuse_link(target)
        new_part(target)
        with replacing(target) as part:
            yield part

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        target = self.path / name
        target.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            if target.parent != self.path:
                target.parent.rmdir()


class UrlFolder(Folder):
    """A folder behind a URL. Each process opens its file system: connections do not survive a fork."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._systems: dict[int, tuple[Any, str]] = {}
        self._system()

    def _system(self) -> tuple[Any, str]:
        """The file system and the folder's path in it."""
        found = self._systems.get(os.getpid())
        if found is None:
            with packages_of(CLOUD, self.place):
                import fsspec
            with reaching(self.place):
                system, root = fsspec.core.url_to_fs(self.place)
            found = self._systems[os.getpid()] = (system, root.rstrip("/"))
        return found

    def _file(self, name: str) -> tuple[Any, str]:
        system, root = self._system()
        return system, f"{root}/{name}"

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        system, path = self._file(name)
        with reaching(self.named(name)):
            try:
                return int(system.size(path))
            except FileNotFoundError:
                return None

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """See ``Folder.read``."""
        system, path = self._file(name)
        with reaching(self.named(name)):
            end = None if size is None else start + size
            return bytes(system.cat_file(path, start=start or None, end=end))

    def open(self, name: str) -> IO[bytes]:
        """See ``Folder.open``."""
        system, path = self._file(name)
        with reaching(self.named(name)):
            opened: IO[bytes] = system.open(path, "rb")
            return opened

    def names(self) -> set[str]:
        """See ``Folder.names``."""
        system, root = self._system()
        with reaching(self.place):
            system.invalidate_cache()
            try:
                found = system.find(root, maxdepth=2)
            except FileNotFoundError:
                return set()
        return {path.removeprefix(root).lstrip("/") for path in found}

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically."""
        system, path = self._file(name)
        with reaching(self.named(name), writing=True):
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(path, data)

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """See ``Folder.new_file``."""
        with tempfile.TemporaryDirectory(prefix="x3-pack-") as place:
            part = Path(place) / "part"
            yield part
            system, path = self._file(name)
            with reaching(self.named(name), writing=True):
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                system.put_file(str(part), path)

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        system, path = self._file(name)
        with reaching(self.named(name), writing=True), suppress(FileNotFoundError):
            system.rm_file(path)


def folder_at(place: str | Path) -> Folder:
    """The folder at a path or URL; it need not exist.

    Raises:
        UserError: the package for the scheme is missing, or the scheme is unknown.
    """
    url = url_of(place)
    return UrlFolder(url) if url is not None else LocalFolder(local_path(place))


@contextmanager
def reaching(place: str, *, writing: bool = False) -> Iterator[None]:
    """Errors of a file system behind a URL become one line; ``FileNotFoundError`` of a read stays.

    Raises:
        UserError: a package, credentials, a bucket, a right or the network is missing, or the like.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        if not writing:
            raise
        raise UserError(
            f"{place}: cannot write there: no such bucket or folder ({error})"
        ) from None
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise UserError(f'{place}: {reason}; run: pip install "x3spatial[{CLOUD}]"') from None
    except Exception as error:  # each file system has errors of its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        what = "cannot write there" if writing else "cannot be read"
        raise UserError(f"{place}: {what}: {type(error).__name__}: {reason}") from None


def _close_all(opened: dict[str, io.BufferedReader]) -> None:
    for file in opened.values():
        file.close()
