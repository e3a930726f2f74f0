"""Audit of one object's files. Unlike a build, an audit decodes every image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.images import ImageError, decode_mask, decode_rgb, read_bytes
from x3spatial.roots.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    ObjectKey,
    Problem,
    ViewFiles,
    list_object,
)

CHANGED_LEVELS = 16
"""A pixel counts as changed if a channel differs by more than this many of 255 levels."""
CHANGED_SHARE = 0.5
"""If more than this share of the background changed, the inpainted image shows another view."""

_NAMES = {ORIGINAL: "original", INPAINTED: "inpainted image", MASK: "mask", DILATED: "dilated mask"}


@dataclass(frozen=True, slots=True)
class AuditJob:
    """One object to audit; picklable."""

    key: ObjectKey
    folder: Path


@dataclass(slots=True)
class AuditedView:
    """Facts about a view with a readable original and mask. ``size`` is (W, H) in pixels."""

    rank: int
    size: tuple[int, int]
    visible: bool
    area_fraction: float
    """Share of the image covered by the tight mask (by the dilated one if there is no tight one)."""


@dataclass(slots=True)
class AuditedObject:
    """Facts about one object's files."""

    key: ObjectKey
    label: str | None
    views: list[AuditedView] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digests: list[tuple[bytes, str]] = field(default_factory=list)
    """(hash of the bytes, path) of every original and inpainted image."""
    one_mask_only: int = 0
    """Views that have only one of the tight and the dilated mask."""


def audit_object(job: AuditJob) -> AuditedObject:
    """Decode and check every image of an object."""
    listed = list_object(job.key, job.folder)
    result = AuditedObject(job.key, listed.label, problems=list(listed.problems))
    if not listed.views:
        result.problems.append(Problem(str(job.folder), "object has no view"))
    for files in listed.views:
        _audit_view(files, job.folder, result)
    return result


def _audit_view(files: ViewFiles, folder: Path, result: AuditedObject) -> None:
    def problem(path: Path, reason: str) -> None:
        result.problems.append(Problem(str(path), reason))

    prefix = f"{files.rank}_{files.frame}"
    for kind in (ORIGINAL, INPAINTED):
        if kind not in files.files:
            problem(folder / f"{prefix}_{kind}.png", f"{_NAMES[kind]} is missing")
    present = [kind for kind in (MASK, DILATED) if kind in files.files]
    if not present:
        problem(folder / f"{prefix}_mask.png", "mask is missing")
    result.one_mask_only += len(present) == 1

    images: dict[str, UInt8] = {}
    masks: dict[str, Bool] = {}
    for kind in (ORIGINAL, INPAINTED, MASK, DILATED):
        path = files.files.get(kind)
        if path is None:
            continue
        try:
            data = read_bytes(path)
            if kind in (MASK, DILATED):
                masks[kind] = decode_mask(data)
            else:
                images[kind] = decode_rgb(data)
                result.digests.append((hashlib.blake2b(data, digest_size=16).digest(), str(path)))
        except ImageError as error:
            problem(path, f"{_NAMES[kind]}: {error.reason}")
    if ORIGINAL not in images:
        return
    original = images[ORIGINAL]
    for kind, array in [*images.items(), *masks.items()]:
        if array.shape[:2] != original.shape[:2]:
            size, expected = _size(array), _size(original)
            problem(files.files[kind], f"{_NAMES[kind]} is {size}, original is {expected}")
    fitting = {k: m for k, m in masks.items() if m.shape == original.shape[:2]}
    if not fitting:
        return
    tight = fitting.get(MASK, fitting.get(DILATED))
    wide = fitting.get(DILATED, fitting.get(MASK))
    assert tight is not None and wide is not None
    height, width = original.shape[:2]
    result.views.append(
        AuditedView(int(files.rank), (width, height), bool(tight.any()), float(tight.mean()))
    )
    inpainted = images.get(INPAINTED)
    if inpainted is not None and inpainted.shape == original.shape:
        reason = _compare(original, inpainted, tight, wide)
        if reason:
            problem(files.files[INPAINTED], reason)


def _compare(original: UInt8, inpainted: UInt8, tight: Bool, wide: Bool) -> str | None:
    """Compare an inpainted image [H, W, 3] with its original; return the problem, or None."""
    difference = np.abs(original.astype(np.int16) - inpainted.astype(np.int16)).max(axis=2)
    if tight.any() and not difference.any():
        return "inpainted image is identical to the original although the mask is not empty"
    background = difference[~wide]
    share = float((background > CHANGED_LEVELS).mean()) if background.size else 0.0
    if share > CHANGED_SHARE:
        return (
            f"inpainted image differs from the original in {share:.0%} of the pixels outside"
            " the dilated mask: not the same view?"
        )
    return None


def _size(array: npt.NDArray[Any]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
