"""Which mask files belong to a record: the one it names, else by the naming of the source document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.task_file import TaskRecord

# The data uses the spelling "dialated"; the correct spelling is also accepted.
_SUFFIXES = {"tight": ("_mask",), "dilated": ("_mask_dialated", "_mask_dilated")}
_ENDING = re.compile(r"\.(?:png|jpe?g)\Z", re.IGNORECASE)
_IMAGE_KINDS = ("_original", "_inpainted")
_MASK_SUFFIXES = (*_SUFFIXES["dilated"], *_SUFFIXES["tight"])


def mask_candidates(record: TaskRecord, choice: MaskChoice) -> Iterator[str]:
    """Paths where the query mask of ``record`` may lie, in order of preference.

    ``auto`` is the record's ``query_mask``. Without this field the naming rules of the source document apply:
    ``_original.png`` or ``_inpainted.png`` of the query image (else ``.png``) is replaced by
    ``_mask_dialated.png``, then by ``_mask.png``. ``tight`` and ``dilated`` accept only that kind.
    """
    if record.query_mask is not None and (
        choice == "auto" or choice == kind_of_mask(record.query_mask, record.query_mask_kind)
    ):
        yield record.query_mask
        return
    if record.spec.across_objects:
        return  # the masks beside the query image are those of another object
    stem = _stem(record)
    if stem is None:
        return
    for kind in ("dilated", "tight") if choice == "auto" else (choice,):
        for suffix in _SUFFIXES[kind]:
            yield f"{stem}{suffix}.png"


def query_image(record: TaskRecord) -> str | None:
    """The query image's path: ``query_original``, else the last of several images."""
    if record.query_original is not None:
        return record.query_original
    return record.image[-1] if not isinstance(record.image, str) and len(record.image) > 1 else None


def kind_of_mask(path: str, stated: str | None) -> str:
    """``stated``, else ``tight`` or ``dilated`` by the file's name."""
    if stated is not None:
        return stated
    dilated = path.removesuffix(".png").endswith(_SUFFIXES["dilated"])
    return "dilated" if dilated else "tight"


def _stem(record: TaskRecord) -> str | None:
    """The path to which mask suffixes are appended, from the query image or its mask."""
    image = query_image(record)
    suffixes: tuple[str, ...] = _IMAGE_KINDS
    if image is None:
        image, suffixes = record.query_mask, _MASK_SUFFIXES
    if image is None:
        return None
    stem = _ENDING.sub("", image)
    for suffix in suffixes:
        if stem.endswith(suffix):
            return stem.removesuffix(suffix)
    return stem
