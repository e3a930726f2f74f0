"""Loading an object's views: every file is opened once; bad data is left out and reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from x3spatial.arrays import UInt8
from x3spatial.io.images import CHECKED_SIGNATURES, ImageError, decode_mask, decode_rgb, probe
from x3spatial.io.images import read_bytes as read_image_bytes
from x3spatial.roots.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    ObjectFiles,
    Problem,
    ViewFiles,
)
from x3spatial.tasks.ground_truth import mask_target, sample_seed
from x3spatial.tasks.samples import View


@dataclass(slots=True, eq=False)
class LoadedView:
    """A usable view and its files; the original is decoded on first use and cached."""

    view: View
    files: ViewFiles
    mask_kind: str
    """The mask in use: ``tight`` or ``dilated``."""
    mask_path: Path
    mask_area_fraction: float
    original: bytes
    _pixels: UInt8 | None = field(default=None, repr=False)

    def pixels(self) -> UInt8:
        """Return the original as RGB, uint8 [H, W, 3].

        Raises:
            ImageError: the file's bytes are not a readable image.
        """
        if self._pixels is None:
            self._pixels = decode_rgb(self.original, probed=True)
        return self._pixels


def _image_size(data: bytes) -> tuple[int, int]:
    """Return (W, H); a PNG or JPEG is not decoded for it.

    PNG checksums cover every byte and a JPEG has an end marker, so damage shows without decoding. A file
    of any other kind is decoded.
    """
    size = probe(data)
    if not data.startswith(CHECKED_SIGNATURES):
        decode_rgb(data, probed=True)
    return size


def load_views(
    item: ObjectFiles, *, use_dilated: bool, seed: int, problems: list[Problem]
) -> list[LoadedView]:
    """Load the usable views of an object.

    Args:
        item: the object's files.
        use_dilated: prefer the dilated mask to the tight one; each replaces the other if missing.
        seed: seed of the ground-truth draws; each draw is seeded by (seed, split, scene, uid, view).
        problems: receives everything that is left out.

    Returns:
        The views in rank order.
    """
    views: list[LoadedView] = []
    for files in item.views:
        try:
            views.append(_load_view(item, files, use_dilated, seed, problems))
        except _LeftOutError as left_out:
            problems.append(left_out.problem)
    return views


class _LeftOutError(Exception):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.problem = Problem(str(path), reason)


def _load_view(
    item: ObjectFiles, files: ViewFiles, use_dilated: bool, seed: int, problems: list[Problem]
) -> LoadedView:
    expected = item.folder / f"{files.rank}_{files.frame}_original.png"
    if ORIGINAL not in files.files:
        raise _LeftOutError(expected, "view left out: original is missing")
    original_path = files.files[ORIGINAL]
    order = (DILATED, MASK) if use_dilated else (MASK, DILATED)
    kind = next((kind for kind in order if kind in files.files), None)
    if kind is None:
        raise _LeftOutError(original_path, "view left out: it has no mask")
    mask_path = files.files[kind]
    try:
        mask = decode_mask(read_image_bytes(mask_path))
    except ImageError as error:
        raise _LeftOutError(mask_path, f"view left out: mask: {error.reason}") from None
    try:
        original = read_image_bytes(original_path)
        size = _image_size(original)
    except ImageError as error:
        raise _LeftOutError(original_path, f"view left out: original: {error.reason}") from None
    mask_size = (mask.shape[1], mask.shape[0])
    if mask_size != size:
        raise _LeftOutError(
            mask_path,
            f"view left out: mask is {mask_size[0]}x{mask_size[1]},"
            f" original is {size[0]}x{size[1]}",
        )
    key = item.key
    target = mask_target(
        mask, sample_seed(seed, key.split, key.scene, key.uid, f"{files.rank}_{files.frame}")
    )
    has_inpainted = target is not None and _check_inpainted(item, files, size, problems)
    return LoadedView(
        view=View(files.rank, files.frame, size, mask, target, has_inpainted),
        files=files,
        mask_kind="dilated" if kind == DILATED else "tight",
        mask_path=mask_path,
        mask_area_fraction=round(float(mask.mean()), 6),
        original=original,
    )


def _check_inpainted(
    item: ObjectFiles, files: ViewFiles, size: tuple[int, int], problems: list[Problem]
) -> bool:
    """Return whether the inpainted image is usable; if not, report it. Only Task2B needs it."""
    path = files.files.get(INPAINTED)
    if path is None:
        missing = item.folder / f"{files.rank}_{files.frame}_inpainted.png"
        problems.append(Problem(str(missing), "left out of Task2B: inpainted image is missing"))
        return False
    try:
        found = _image_size(read_image_bytes(path))
    except ImageError as error:
        problems.append(Problem(str(path), f"left out of Task2B: inpainted image: {error.reason}"))
        return False
    if found != size:
        reason = (
            f"left out of Task2B: inpainted image is {found[0]}x{found[1]},"
            f" original is {size[0]}x{size[1]}"
        )
        problems.append(Problem(str(path), reason))
        return False
    return True
