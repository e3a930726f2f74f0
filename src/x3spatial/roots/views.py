"""Loading an object's views: every file is opened once; bad data is left out and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from x3spatial.arrays import UInt8
from x3spatial.io.images import (
    CHECKED_SIGNATURES,
    ImageError,
    decode_mask,
    decode_rgb,
    probe,
    read_rgb,
)
from x3spatial.io.images import read_bytes as read_image_bytes
from x3spatial.roots import findings
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import DILATED, INPAINTED, MASK, ORIGINAL, ObjectFiles, ViewFiles
from x3spatial.tasks.ground_truth import mask_target, sample_seed
from x3spatial.tasks.samples import View


@dataclass(slots=True, eq=False)
class LoadedView:
    """A usable view and its files; its images are decoded on first use and cached."""

    view: View
    files: ViewFiles
    mask_kind: str
    """The mask in use: ``tight`` or ``dilated``."""
    mask_path: Path
    mask_area_fraction: float
    original: bytes
    _pixels: UInt8 | None = field(default=None, repr=False)
    _removed: UInt8 | None = field(default=None, repr=False)

    def pixels(self) -> UInt8:
        """Return the original as RGB, uint8 [H, W, 3].

        Raises:
            ImageError: the file's bytes are not a readable image.
        """
        if self._pixels is None:
            self._pixels = decode_rgb(self.original, probed=True)
        return self._pixels

    def removed_pixels(self) -> UInt8:
        """Return the inpainted image, which the view must have, as RGB, uint8 [H, W, 3].

        Raises:
            ImageError: the file is not a readable image.
        """
        if self._removed is None:
            self._removed = read_rgb(self.files.files[INPAINTED])
        return self._removed


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
    item: ObjectFiles,
    *,
    use_dilated: bool,
    seed: int,
    problems: list[Problem],
    use_inpainted: bool = True,
) -> list[LoadedView]:
    """Load the usable views of an object.

    Args:
        item: the object's files.
        use_dilated: prefer the dilated mask to the tight one; each replaces the other if missing.
        seed: seed of the ground-truth draws; each draw is seeded by (seed, split, scene, uid, view).
        problems: receives everything that is left out.
        use_inpainted: whether a task needs inpainted images. If not, they are neither read nor missed.

    Returns:
        The views in rank order.
    """
    views: list[LoadedView] = []
    for files in item.views:
        try:
            loaded = _load_view(item, files, use_dilated, seed)
        except _LeftOutError as left_out:
            problems.append(left_out.problem)
            continue
        if use_inpainted and loaded.view.target is not None:
            problem = _inpainted_problem(item, files, loaded.view.size)
            if problem is None:
                loaded.view = replace(loaded.view, has_inpainted=True)
            else:
                problems.append(problem)
        views.append(loaded)
    return views


def anchor_problem(item: ObjectFiles, views: Sequence[LoadedView], rank: int) -> Problem | None:
    """The problem of an object without a usable view of ``rank``, the reference of all its pairs.

    None for an object without any view, which has a problem of its own.
    """
    if not item.views or any(int(loaded.view.rank) == rank for loaded in views):
        return None
    return findings.NO_ANCHOR.at(item.folder, rank=rank)


def split_missing_inpainted(
    root: Path, problems: Sequence[Problem], *, any_inpainted: bool
) -> tuple[list[Problem], list[Problem]]:
    """Replace the missing inpainted images of a root that has none at all by one note.

    Returns:
        The remaining problems and the notes.
    """
    others = [problem for problem in problems if not is_missing_inpainted(problem)]
    if any_inpainted or len(others) == len(problems):
        return list(problems), []
    return others, [findings.NO_INPAINTED.at(root)]


def is_missing_inpainted(problem: Problem) -> bool:
    """Whether a problem is that of a view without an inpainted image."""
    return problem.reason == findings.INPAINTED_MISSING.text


class _LeftOutError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


def _load_view(item: ObjectFiles, files: ViewFiles, use_dilated: bool, seed: int) -> LoadedView:
    if ORIGINAL not in files.files:
        expected = item.folder / f"{files.rank}_{files.frame}_original.png"
        raise _LeftOutError(findings.ORIGINAL_MISSING.at(expected))
    original_path = files.files[ORIGINAL]
    order = (DILATED, MASK) if use_dilated else (MASK, DILATED)
    kind = next((kind for kind in order if kind in files.files), None)
    if kind is None:
        raise _LeftOutError(findings.MASK_MISSING.at(original_path))
    mask_path = files.files[kind]
    try:
        mask = decode_mask(read_image_bytes(mask_path))
    except ImageError as error:
        raise _LeftOutError(findings.MASK_DAMAGED.at(mask_path, reason=error.reason)) from None
    try:
        original = read_image_bytes(original_path)
        size = _image_size(original)
    except ImageError as error:
        problem = findings.ORIGINAL_DAMAGED.at(original_path, reason=error.reason)
        raise _LeftOutError(problem) from None
    mask_size = (mask.shape[1], mask.shape[0])
    if mask_size != size:
        problem = findings.MASK_SIZE.at(mask_path, size=_shown(mask_size), expected=_shown(size))
        raise _LeftOutError(problem)
    key = item.key
    target = mask_target(
        mask, sample_seed(seed, key.split, key.scene, key.uid, f"{files.rank}_{files.frame}")
    )
    return LoadedView(
        view=View(files.rank, files.frame, size, mask, target, has_inpainted=False),
        files=files,
        mask_kind="dilated" if kind == DILATED else "tight",
        mask_path=mask_path,
        mask_area_fraction=round(float(mask.mean()), 6),
        original=original,
    )


def _inpainted_problem(
    item: ObjectFiles, files: ViewFiles, size: tuple[int, int]
) -> Problem | None:
    """Why an inpainted image cannot be used; None if it can. Only Task2B needs it."""
    path = files.files.get(INPAINTED)
    if path is None:
        missing = item.folder / f"{files.rank}_{files.frame}_inpainted.png"
        return findings.INPAINTED_MISSING.at(missing)
    try:
        found = _image_size(read_image_bytes(path))
    except ImageError as error:
        return findings.INPAINTED_DAMAGED.at(path, reason=error.reason)
    if found != size:
        return findings.INPAINTED_SIZE.at(path, size=_shown(found), expected=_shown(size))
    return None


def _shown(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
