"""Names in the root made of the names that a source uses."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

_LONGEST = 60
"""Bytes of a name; the name of a side-by-side image holds two of them."""


def safe_name(text: str) -> str:
    """A name for files and folders: letters and digits of any script, ``-``, ``_`` and ``.``.

    >>> safe_name("IMG 0001 (2)"), safe_name("../x"), safe_name("")
    ('IMG-0001-2', 'x', 'unnamed')
    """
    text = unicodedata.normalize("NFC", text)
    kept = "".join(char if char.isalnum() or char in "_." else "-" for char in text)
    parts = [part for part in kept.split("-") if part]
    name = "-".join(parts).lstrip(".-")
    while len(name.encode("utf-8", "replace")) > _LONGEST:
        name = name[:-1]
    return name.rstrip(".-") or "unnamed"


def frame_names(paths: Iterable[str]) -> dict[str, str]:
    """A unique name for every image path of a scene: its stem, or the path where stems repeat.

    >>> frame_names(["images/1.jpg", "images/2.jpg"])
    {'images/1.jpg': '1', 'images/2.jpg': '2'}
    >>> frame_names(["a/1.jpg", "b/1.jpg"])
    {'a/1.jpg': 'a-1', 'b/1.jpg': 'b-1'}
    """
    paths = list(dict.fromkeys(paths))
    stems = [safe_name(PurePosixPath(path).stem) for path in paths]
    if len(set(stems)) == len(stems):
        return dict(zip(paths, stems, strict=True))
    whole = [
        safe_name(str(PurePosixPath(path).with_suffix("")).replace("/", "-")) for path in paths
    ]
    if len(set(whole)) == len(whole):
        return dict(zip(paths, whole, strict=True))
    return {path: f"{number:06d}" for number, path in enumerate(paths)}


def unique_names(texts: Iterable[str]) -> dict[str, str]:
    """A unique safe name for every text; later ones that collide get a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        if text in found:
            continue
        base = name = safe_name(text)
        number = 2
        while name in taken:
            name = f"{base}-{number}"
            number += 1
        taken.add(name)
        found[text] = name
    return found
