"""Paths of this machine, shortened, for pages that are given to others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

KEPT = 4
"""Last parts of a path that stay: ``{split}/{scene}/uid_{uid}/{file}``."""
_ABSOLUTE = re.compile(
    r"""file:/+[^\s'"<>|]+ | (?<![\w./~\\-])(?:[A-Za-z]:[\\/]|/(?!/)|\\\\)(?:[^\s/\\'"<>|:,;()\[\]{}]+[\\/])+
        [^\s/\\'"<>|:,;()\[\]{}]*""",
    re.VERBOSE,
)


class Shortener:
    """Makes absolute paths relative: to the known folders, otherwise to their last parts.

    Args:
        folders: folders whose names may hold blanks or anything else: they are cut off wherever they occur.
    """

    def __init__(self, folders: Iterable[Path | str]) -> None:
        found = {str(folder).rstrip("/\\") for folder in folders}
        found |= {str(Path(folder).resolve()) for folder in found if folder}
        # The root folder, and folders directly below it, are in the beginning of everything.
        known = [folder for folder in found if len(PurePath(folder).parts) > 1]
        known.sort(key=len, reverse=True)
        self._folders = (
            re.compile("(?:" + "|".join(map(re.escape, known)) + r")(?:[/\\]|(?=$|[\s:;,'\"]))")
            if known
            else None
        )

    def path(self, path: str) -> str:
        """The last parts of an absolute path; a relative one as it is."""
        windows = PureWindowsPath(path)
        if windows.drive:
            return "/".join(windows.parts[1:][-KEPT:])
        pure = PurePath(path)
        return "/".join(pure.parts[1:][-KEPT:]) if pure.is_absolute() else path

    def text(self, text: str) -> str:
        """``text`` with the absolute paths in it shortened."""
        if "/" not in text and "\\" not in text:
            return text
        if self._folders is not None:
            text = self._folders.sub("", text)
        return _ABSOLUTE.sub(lambda match: self._last(match[0]), text)

    def value(self, value: Any) -> Any:
        """A JSON value with all texts and keys shortened."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        return value

    @staticmethod
    def _last(path: str) -> str:
        parts = [part for part in re.split(r"[/\\]+", path.removeprefix("file:")) if part]
        if parts and parts[0].endswith(":"):
            parts = parts[1:]
        return "/".join(parts[-2:])


class Unshortened(Shortener):
    """Leaves everything as it is: for pages that link to this machine's files anyway."""

    def __init__(self) -> None:
        super().__init__(())

    def path(self, path: str) -> str:
        """The path."""
        return path

    def text(self, text: str) -> str:
        """The text."""
        return text
