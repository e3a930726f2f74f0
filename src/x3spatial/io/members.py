"""Files inside of packs, as paths: ``PACK/SET!/validation/scene/uid_1/01_frame_original.png``.

Records hold the paths of their files as text; ``file_at`` makes one the path of a file, wherever it lies.
Whatever reads an image or a mask goes through ``io.images.read_bytes``, which knows both.
"""

from __future__ import annotations

import atexit
import io
import os
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import IO, Any

from x3spatial.errors import UserError
from x3spatial.io.locations import url_of
from x3spatial.io.opening import open_regular
from x3spatial.io.packs import PackedSet, known_set

if sys.platform == "win32":
    from pathlib import WindowsPath as _Path
else:
    from pathlib import PosixPath as _Path

MARK = "!"
"""Ends the name of the set in the path of a member."""
_SPLIT = f"{MARK}/"


class MemberPath(_Path):
    """The path of a file inside of a pack, which can be read like any other.

    It has no file of its own. Where one is needed, by ``os.fspath`` or ``open`` in code of others, the bytes
    are written to a temporary folder first.
    """

    def _found(self) -> tuple[PackedSet, str]:
        found = _member(self.as_posix())
        if found is None:
            raise FileNotFoundError(2, "no such image in a pack", str(self))
        return found

    def exists(self, **_: Any) -> bool:
        """Whether the pack has this member."""
        found = _member(self.as_posix())
        return found is not None and found[1] in found[0]

    is_file = exists

    def is_dir(self, **_: Any) -> bool:
        """False: folders are not listed."""
        return False

    def is_symlink(self) -> bool:
        """False: a pack holds no links."""
        return False

    def stat(self, **_: Any) -> os.stat_result:
        """Size, and a time that stands for the content: it differs if the bytes do."""
        packed, name = self._found()
        place = packed.find(name)
        return os.stat_result(
            (stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, place.size, 0, place.crc32, 0),
            {"st_mtime_ns": place.crc32},
        )

    def read_bytes(self) -> bytes:
        """The file's bytes as they were packed.

        Raises:
            FileNotFoundError: the pack has no such member.
            UserError: the pack is damaged.
        """
        packed, name = self._found()
        return packed.read(name)

    def open(self, *args: Any, **settings: Any) -> IO[Any]:  # type: ignore[override]
        """As of a file."""
        copy: IO[Any] = open(os.fspath(self), *args, **settings)  # noqa: SIM115
        return copy

    def absolute(self) -> MemberPath:
        """The path with its pack's absolute path."""
        return self if url_of(self) is not None else super().absolute()

    def __fspath__(self) -> str:
        """A copy on this machine, for code that needs a file."""
        return str(_copied(self))


def file_at(path: str | Path) -> Path:
    """The path of a file, which may lie inside of a pack."""
    if isinstance(path, MemberPath):
        return path
    text = path if isinstance(path, str) else path.as_posix()
    if _SPLIT in text and _member(text) is not None:
        return MemberPath(path if isinstance(path, str) else str(path))
    return Path(path)


def open_file(path: str | Path) -> IO[bytes]:
    """Open a file, which may lie inside of a pack, for reading.

    Raises:
        OSError: missing or unreadable, see ``open_regular``.
        UserError: its pack is damaged.
    """
    file = file_at(path)
    return io.BytesIO(file.read_bytes()) if isinstance(file, MemberPath) else open_regular(file)


def member_text(packed: PackedSet, name: str) -> str:
    """The text of the path of a member."""
    return f"{packed.place}{_SPLIT}{name}"


def is_member(path: str) -> bool:
    """Whether ``path`` names a file inside of a pack."""
    return isinstance(file_at(path), MemberPath)


def _member(text: str) -> tuple[PackedSet, str] | None:
    """The set and the member's name; None if ``text`` is the path of something else."""
    head, mark, name = text.partition(_SPLIT)
    place, _, set_name = head.rpartition("/")
    if not mark or not place:
        return None
    packed = known_set(place, set_name)
    return None if packed is None else (packed, name)


@cache
def _folder(process: int) -> Path:
    """The temporary folder of a process."""
    made = tempfile.TemporaryDirectory(prefix="x3-pack-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    return Path(made.name)


@cache
def _copied(path: MemberPath) -> Path:
    try:
        data = path.read_bytes()
    except UserError as error:
        raise OSError(str(error)) from None
    place = _folder(os.getpid()) / f"{path.stat().st_mtime_ns:08x}"
    place.mkdir(exist_ok=True)
    (place / path.name).write_bytes(data)
    return place / path.name
