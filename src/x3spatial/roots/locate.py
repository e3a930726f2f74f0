"""Suggestions for a folder that is given as a data root and has no split folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_OBJECT_DIR = re.compile(r"uid_.+")
_SPLIT_WORDS = {
    "train": ("training",),
    "validation": ("valid", "dev", "eval", "evaluation", "validate"),
    "test": ("testing",),
}
_LEVELS = 3
"""Folders of a root below it: split, scene, object."""
_MOST = 200
"""Entries of a folder that are looked at: a suggestion must not walk a whole disk."""


def suggestion(root: Path, splits: tuple[str, ...]) -> str:
    """What was probably meant by ``root``, as the end of a message; empty if nothing is near.

    Args:
        root: an existing folder without a split folder.
        splits: the names of split folders.
    """
    above = _root_above(root, splits)
    if above is not None:
        return f"; did you mean {above} (the folder that holds the splits)?"
    below = list(islice(_roots_below(root, splits), 4))
    if below:
        shown = " or ".join(map(str, below[:3]))
        return f"; did you mean {shown}{' ...' if len(below) > 3 else ''}?"
    for folder in _folders(root):
        right = _right_name(folder.name, splits)
        if right is not None:
            return f"; rename {folder} to {right}"
    return ""


def _root_above(root: Path, splits: tuple[str, ...]) -> Path | None:
    """The root whose split, scene or object ``root`` is."""
    split = Path(os.path.abspath(root))  # noqa: PTH100 - links in the path stay as they were given
    for level in range(_LEVELS):
        if split.name in splits and any(
            _OBJECT_DIR.fullmatch(folder.name)
            for scene in _folders(split)
            for folder in _folders(scene)
        ):
            shown = root
            for _ in range(level + 1):
                shown = shown.parent
            return shown if len(root.parts) > level + 1 else split.parent
        split = split.parent
    return None


def _roots_below(root: Path, splits: tuple[str, ...]) -> Iterator[Path]:
    """Data roots in ``root``, one level below it first, then two."""
    folders = list(_folders(root))
    for below in (folders, [inner for folder in folders for inner in _folders(folder)]):
        for folder in below:
            if any(os.path.isdir(folder / split) for split in splits):  # noqa: PTH112 - never raises
                yield folder


def _right_name(name: str, splits: tuple[str, ...]) -> str | None:
    """The split's name that was probably meant by ``name``; None if it resembles none."""
    if name.lower() in splits:
        return name.lower()
    return next((right for right, words in _SPLIT_WORDS.items() if name.lower() in words), None)


def _folders(folder: Path) -> Iterator[Path]:
    """The first folders in ``folder``, sorted, without hidden ones; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST))
    except OSError:
        return
    for name in names:
        if not name.startswith(".") and os.path.isdir(folder / name):  # noqa: PTH112 - never raises
            yield folder / name
