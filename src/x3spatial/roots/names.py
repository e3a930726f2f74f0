"""Names of files in an object's folder: ``{NN}_{frame}_{kind}.png``, and what other spellings should be."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from x3spatial.roots.findings import (
    FRAME_TOO_LONG,
    MAX_FRAME_BYTES,
    MISNAMED,
    WRONG_ENDING,
    Problem,
)

ORIGINAL, INPAINTED, MASK, DILATED = "original", "inpainted", "mask", "mask_dilated"
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
"""Endings of originals and inpainted images, in any case; masks and depth maps are PNG only."""

_KIND_OF_SUFFIX = {
    "original": ORIGINAL,
    "inpainted": INPAINTED,
    "mask": MASK,
    "mask_dialated": DILATED,  # the spelling of the published data
    "mask_dilated": DILATED,
    "depth": "depth",
}
_FILE_NAME = re.compile(rf"(\d{{2,}})_(.+?)_({'|'.join(_KIND_OF_SUFFIX)})(\.[A-Za-z0-9]+)")
_OTHER_WORDS = {
    "original": ("orig", "rgb", "color", "colour", "image", "img", "photo", "frame", "raw"),
    "inpainted": ("inpaint", "inpainting", "removed", "erased", "background", "clean", "edited"),
    "mask": ("masks", "seg", "segmentation", "label", "alpha", "matte"),
    "mask_dialated": ("dilated", "dialated", "mask_dilate", "maskdilated", "dilated_mask"),
}
_WORDS = {word: word for word in _KIND_OF_SUFFIX} | {
    other: kind for kind, others in _OTHER_WORDS.items() for other in others
}
_OTHER_IMAGES = (*IMAGE_ENDINGS, ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".jp2", ".exr")


class FileName(NamedTuple):
    """The parts of a file's name."""

    rank: str
    frame: str
    kind: str


def parse_name(name: str, path: str) -> FileName | Problem:
    """The parts of a name; for one that does not fit the layout, the problem with it at ``path``."""
    found = _FILE_NAME.fullmatch(name)
    if found is None:
        return MISNAMED.at(path, hint=_hint(name))
    rank, frame, suffix, ending = found.groups()
    endings = IMAGE_ENDINGS if suffix in (ORIGINAL, INPAINTED) else IMAGE_ENDINGS[:1]
    if ending.lower() not in endings:
        return WRONG_ENDING.at(path, kind=suffix, allowed=" or ".join(endings), ending=ending)
    if len(frame.encode()) > MAX_FRAME_BYTES:
        return FRAME_TOO_LONG.at(path)
    return FileName(rank, frame, _KIND_OF_SUFFIX[suffix])


def _hint(name: str) -> str:
    """What an image's name should be, in words that all names of this spelling share; empty for others."""
    stem, dot, ending = name.rpartition(".")
    if not dot or f".{ending.lower()}" not in _OTHER_IMAGES:
        return ""
    words = [word for word in re.split(r"[_\-. ]+", stem) if word]
    count = next((n for n in (2, 1) if "_".join(words[-n:]).lower() in _WORDS), 1)
    word = "_".join(words[-count:])
    kind = _WORDS.get(word.lower()) or next(
        iter(difflib.get_close_matches(word.lower(), _KIND_OF_SUFFIX, 1, 0.75)), None
    )
    if kind is None:
        shown = "no kind in it" if word.isdigit() else f"unknown kind {word!r}"
        return f": {shown}; known are {', '.join(_KIND_OF_SUFFIX)}"
    if word != kind:
        return f": write {kind!r}, not {word!r}"
    rank, *frame = words[:-count] or [""]
    if not rank.isdigit() or not frame:
        return ": it needs the view's rank and a frame, as in 01_000010"
    if len(rank) == 1:
        return ": write the rank with two digits or more, as in 01"
    return ": join its parts with _"
