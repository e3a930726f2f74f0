"""Audit of one object's files.

An audit loads the views as a build does, with either mask, and so reports what a build would leave out in the
same words. Beyond that it decodes every image and checks what no build looks at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.images import ImageError, decode_channels, decode_mask, decode_rgb, read_bytes
from x3spatial.io.orientation import MEANINGS, orientation_of
from x3spatial.roots import findings
from x3spatial.roots.audit.masks import MaskFacts, check_mask, compare_values
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import (
    DILATED,
    INPAINTED,
    MASK,
    ORIGINAL,
    ObjectFiles,
    ObjectKey,
    ViewFiles,
    list_object,
)
from x3spatial.roots.views import anchor_problem, load_views

CHANGED_LEVELS = 16
"""A pixel counts as changed if a channel differs by more than this many of 255 levels."""
CHANGED_SHARE = 0.5
"""If more than this share of the background changed, the inpainted image shows another view."""
DARK_LEVEL = 4095
"""16-bit images without a higher value decode to 15 of 255 levels at most."""

_NAMES = {ORIGINAL: "original", INPAINTED: "inpainted image", MASK: "mask", DILATED: "dilated mask"}
_KINDS = (ORIGINAL, INPAINTED, MASK, DILATED)
_FIRST_RANK = 1
"""The reference view of a default build."""


@dataclass(frozen=True, slots=True)
class AuditJob:
    """One object to audit; picklable."""

    key: ObjectKey
    folder: Path
    use_inpainted: bool = True
    """Whether the chosen tasks need inpainted images."""
    use_pairs: bool = True
    """Whether the chosen tasks need a reference view."""


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
    notes: list[Problem] = field(default_factory=list)
    digests: list[tuple[bytes, str]] = field(default_factory=list)
    """(hash of the bytes, path) of every original and inpainted image."""
    one_mask_only: int = 0
    """Views that have only one of the tight and the dilated mask."""
    any_inpainted: bool = False
    """Whether any view has an inpainted image."""

    def add(self, found: findings.Finding, path: Path, **details: object) -> None:
        """Add a finding, unless the path has a problem already: one cause is named once."""
        target = self.notes if found.level is findings.Level.NOTE else self.problems
        if found.level is findings.Level.NOTE or all(p.path != str(path) for p in self.problems):
            target.append(found.at(path, **details))


def audit_object(job: AuditJob) -> AuditedObject:
    """Decode and check every image of an object."""
    listed = list_object(job.key, job.folder)
    problems, used = _build(job, listed)
    result = AuditedObject(job.key, listed.label, problems=problems)
    result.any_inpainted = any(INPAINTED in files.files for files in listed.views)
    masks: dict[str, dict[Path, MaskFacts]] = {MASK: {}, DILATED: {}}
    for files in listed.views:
        result.one_mask_only += (MASK in files.files) != (DILATED in files.files)
        _audit_view(files, job, used, masks, result)
    for of_kind in masks.values():
        for found, path, value, usual in compare_values(of_kind):
            result.add(found, path, value=value, usual=usual)
    return result


def _build(job: AuditJob, listed: ObjectFiles) -> tuple[list[Problem], set[Path]]:
    """Load the views as builds with the tight and with the dilated mask do.

    Returns:
        What they report, each problem once, and the originals of the views that one of them uses.
    """
    problems = list(listed.problems)
    used: set[Path] = set()
    for use_dilated in (False, True):
        views = load_views(
            listed,
            use_dilated=use_dilated,
            seed=0,
            problems=problems,
            use_inpainted=job.use_inpainted,
        )
        used.update(loaded.files.files[ORIGINAL] for loaded in views)
        missing = anchor_problem(listed, views, _FIRST_RANK) if job.use_pairs else None
        problems.extend([] if missing is None else [missing])
    return list(dict.fromkeys(problems)), used


def _audit_view(
    files: ViewFiles,
    job: AuditJob,
    used: set[Path],
    masks: dict[str, dict[Path, MaskFacts]],
    result: AuditedObject,
) -> None:
    images: dict[str, UInt8] = {}
    shapes: dict[str, Bool] = {}
    for kind in _KINDS:
        path = files.files.get(kind)
        if path is None or (kind == INPAINTED and not job.use_inpainted):
            continue
        try:
            data = read_bytes(path)
            if kind in (MASK, DILATED):
                shapes[kind] = decode_mask(data)
                facts = masks[kind][path] = check_mask(path, data)
                result.problems.extend(facts.problems)
                result.notes.extend(facts.notes)
            else:
                images[kind] = decode_rgb(data)
                result.digests.append((hashlib.blake2b(data, digest_size=16).digest(), str(path)))
                _check_depth(path, data, result)
            _check_orientation(path, data, result)
        except ImageError as error:
            # A build finds these pixels when it marks the view; those of other files it never reads.
            damaged = findings.ORIGINAL_DAMAGED if path in used else findings.DAMAGED
            result.add(damaged, path, what=_NAMES[kind], reason=error.reason)
    if ORIGINAL not in images:
        return
    original = images[ORIGINAL]
    for kind, array in [*images.items(), *shapes.items()]:
        if array.shape[:2] != original.shape[:2]:
            sizes = {"size": _size(array), "expected": _size(original)}
            result.add(findings.OTHER_SIZE, files.files[kind], what=_NAMES[kind], **sizes)
    fitting = {k: m for k, m in shapes.items() if m.shape == original.shape[:2]}
    if not fitting:
        return
    _check_twins(files, fitting, result)
    tight = fitting.get(MASK, fitting.get(DILATED))
    wide = fitting.get(DILATED, fitting.get(MASK))
    assert tight is not None and wide is not None
    height, width = original.shape[:2]
    result.views.append(
        AuditedView(int(files.rank), (width, height), bool(tight.any()), float(tight.mean()))
    )
    inpainted = images.get(INPAINTED)
    if inpainted is not None and inpainted.shape == original.shape:
        _compare(files.files[INPAINTED], original, inpainted, tight, wide, result)


def _check_depth(path: Path, data: bytes, result: AuditedObject) -> None:
    """Report images of 16 bits, of which models see the high byte."""
    if not data.startswith(b"\x89PNG") or data[24] != 16:  # bits per channel, in the header
        return
    highest = int(decode_channels(data).max())
    if highest <= DARK_LEVEL:
        result.add(findings.SIXTEEN_BIT_DARK, path, highest=highest)
    else:
        result.add(findings.SIXTEEN_BIT, path)


def _check_orientation(path: Path, data: bytes, result: AuditedObject) -> None:
    tag = orientation_of(data)
    if tag is not None:
        result.add(findings.ORIENTATION, path, tag=tag, meaning=MEANINGS[tag])


def _check_twins(files: ViewFiles, masks: dict[str, Bool], result: AuditedObject) -> None:
    """Compare the tight and the dilated mask of a view."""
    if len(masks) < 2:
        return
    tight, dilated = masks[MASK], masks[DILATED]
    if tight.any() != dilated.any():
        empty, filled = ("dilated", "tight") if tight.any() else ("tight", "dilated")
        result.add(findings.MASK_EMPTY_TWIN, files.files[MASK], empty=empty, filled=filled)
    elif (tight & ~dilated).any():
        result.add(findings.MASK_NOT_INSIDE, files.files[DILATED])


def _compare(
    path: Path, original: UInt8, inpainted: UInt8, tight: Bool, wide: Bool, result: AuditedObject
) -> None:
    """Compare an inpainted image [H, W, 3] at ``path`` with its original."""
    difference = np.abs(original.astype(np.int16) - inpainted.astype(np.int16)).max(axis=2)
    if tight.any() and not difference.any():
        result.add(findings.INPAINTED_IDENTICAL, path)
        return
    background = difference[~wide]
    share = float((background > CHANGED_LEVELS).mean()) if background.size else 0.0
    if share > CHANGED_SHARE:
        result.add(findings.INPAINTED_OTHER_VIEW, path, share=share)


def _size(array: npt.NDArray[Any]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
