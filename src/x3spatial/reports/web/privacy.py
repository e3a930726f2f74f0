"""Paths of this machine, shortened, for pages that are given to others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

_BELOW_ROOT = 4
"""Parts of ``{split}/{scene}/uid_{uid}/{file}``."""
_HIDDEN = 2
"""First parts of a path, such as ``home`` and the user's name, that never stay."""
_ABSOLUTE = re.compile(
    r"""file:/+[^\s'"<>|]+ | (?<![\w./~\\-])(?:[A-Za-z]:[\\/]|/(?!/)|\\\\)(?:[^\s/\\'"<>|:,;()\[\]{}]+[\\/])+
        [^\s/\\'"<>|:,;()\[\]{}]*""",
    re.VERBOSE,
)


class Shortener:
    """Makes absolute paths relative to known folders, and keeps only the last parts of others.

    Args:
        bases: the folders. A path below the longest fitting one is written with that folder's name and what
            follows; the home folder and the working folder become ``~`` and ``.``.
    """

    def __init__(self, bases: Iterable[Path]) -> None:
        self._bases: dict[str, str] = {}
        for base in bases:
            for form in (base.absolute(), Path(os.path.realpath(base))):
                if len(form.parts) > 1:  # everything is below the root folder
                    self._bases.setdefault(str(form), form.name)
        for base, name in ((Path.cwd(), "."), (Path.home(), "~")):
            if len(base.parts) > 1:
                self._bases[str(base)] = name
        longest = sorted(self._bases, key=len, reverse=True)
        self._bases = {base: self._bases[base] for base in longest}
        ends = r"(?=$|[/\\\s:;,'\"()\[\]])"
        self._known = re.compile("(?<![\\w.])(?:" + "|".join(map(re.escape, longest)) + ")" + ends)

    def path(self, path: str) -> str:
        """A path that is absolute, relative; another one as it is."""
        parts = re.split(r"[/\\]+", path)
        if len(parts) > _BELOW_ROOT and parts[-2].startswith("uid_"):
            return "/".join(parts[-_BELOW_ROOT:])
        for base, name in self._bases.items():
            if path == base or path.startswith((f"{base}/", f"{base}\\")):
                return name + path[len(base) :]
        is_absolute = PurePath(path).is_absolute() or re.match(r"[A-Za-z]:[\\/]|\\\\", path)
        return _last(path) if is_absolute else path

    def text(self, text: str) -> str:
        """``text`` with the absolute paths in it shortened."""
        if "/" not in text and "\\" not in text:
            return text
        if self._bases:
            text = self._known.sub(lambda match: self._bases[match[0]], text)
        return _ABSOLUTE.sub(lambda match: _last(match[0]), text)

    def value(self, value: Any) -> Any:
        """A JSON value with all texts and keys shortened."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        return value


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


def _last(path: str) -> str:
    parts = [part for part in re.split(r"[/\\]+", path.removeprefix("file:")) if part]
    parts = parts[1:] if parts[:1] and parts[0].endswith(":") else parts  # the drive
    kept = parts[_HIDDEN:] or parts[-1:]
    return "/".join(kept[-2:])
