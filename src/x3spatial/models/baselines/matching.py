"""Localisation of a marked object from point matches between two views, shared by the matching baselines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float64, IntP, UInt8
from x3spatial.io.members import file_at
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import (
    LruCache,
    asks_for_point,
    format_point,
    load_mask,
    load_rgb,
    record_field,
    record_path,
)
from x3spatial.tasks.answers import NOT_VISIBLE
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import Views


class Source(NamedTuple):
    """An image, or one half of a side-by-side image."""

    path: Path
    part: str
    """``whole``, ``left`` or ``right``."""


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one image."""

    size: tuple[int, int]
    """(W, H) of the image in pixels."""
    points: Float64
    """``[N, 2]`` keypoints in pixels; the centre of the first pixel is (0.5, 0.5)."""
    data: Any
    """Data of the matcher, such as descriptors."""


def read_source(source: Source) -> UInt8:
    """The pixels ``uint8 [H, W, 3]`` of a source.

    Raises:
        ImageError: the file is missing, unreadable or damaged.
    """
    image = load_rgb(source.path)
    half = image.shape[1] // 2
    if source.part == "left":
        return np.ascontiguousarray(image[:, :half])
    return np.ascontiguousarray(image[:, half:]) if source.part == "right" else image


def sources(question: Question) -> tuple[Source, Source]:
    """The images of A and B: the unmarked originals if the record contains their paths."""
    reference, query = (record_field(question, name) for name in ("ref_original", "query_original"))
    if question.is_concat:
        a, b = Source(question.images[0], "left"), Source(question.images[0], "right")
    else:
        a, b = Source(question.images[0], "whole"), Source(question.images[-1], "whole")
    return (
        a if reference is None else Source(file_at(reference), "whole"),
        b if query is None else Source(file_at(query), "whole"),
    )


class MatchingModel(Model):
    """Matches A with B and locates the marked object from the matches on it.

    The object's pixels in A are those of ``ref_mask``, so the model is privileged. Features are cached per
    image, because several questions share a reference.
    """

    privileged = True
    needs = frozenset({"ref_mask"})
    object_only: ClassVar[bool] = False
    """Whether ``extract`` gets the object's mask for A; features of B always cover the whole image."""

    def __init__(self) -> None:
        self._features = LruCache(self._extract, capacity=32)
        self._mask = LruCache(load_mask, capacity=32)

    def can_answer(self, task: str) -> bool:
        """Whether the task has a reference view and a query view."""
        return asks_for_point(task, Views.TWO)

    def _extract(self, key: tuple[Source, Path | None]) -> Features:
        source, mask = key
        return self.extract(read_source(source), None if mask is None else self._mask(mask))

    def _pair(self, question: Question) -> tuple[Features, Features]:
        a, b = sources(question)
        mask = record_path(question, "ref_mask") if self.object_only else None
        return self._features((a, mask)), self._features((b, None))

    @abstractmethod
    def extract(self, image: UInt8, mask: Bool | None) -> Features:
        """Features of an image ``uint8 [H, W, 3]``; with a mask, only those on the object are needed."""

    @abstractmethod
    def match(self, a: Features, b: Features) -> IntP:
        """``[M, 2]`` indices into the points of ``a`` and ``b``: tentative matches."""

    def prepare(self, questions: Sequence[Question]) -> None:
        """Compute the features in advance."""
        for question in questions:
            self._pair(question)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """A point or NOT_VISIBLE for each question."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> str:
        a, b = self._pair(question)
        mask = self._mask(record_path(question, "ref_mask"))
        pairs = self.match(a, b)
        point = locate(a, b, pairs, mask)
        return NOT_VISIBLE if point is None else format_point(point, question)


_FEWEST_INLIERS = 4
"""Minimum number of matches: three points determine an affine map, and the fourth confirms it."""
_APART = 0.005
"""Minimum distance of two distinct matches, as a part of the image width."""
_TOLERANCE = 0.02
"""Maximum deviation of a match from the common affine map, as a part of the image width."""


def locate(a: Features, b: Features, pairs: IntP, mask: Bool) -> Point | None:
    """The normalised point in B of the object under ``mask`` [H, W] of A; None if too few matches agree.

    The matches on the object must agree with a common affine map, which approximates the change of view of a
    small object. The answer is the matched point closest to the mean of the inliers, because the mean itself
    may lie outside the object.
    """
    if len(pairs) == 0:
        return None
    from_a, to_b = a.points[pairs[:, 0]], b.points[pairs[:, 1]]
    on_object = on_mask(from_a, a.size, mask)
    from_a, to_b = from_a[on_object], to_b[on_object]
    if len(from_a) < _FEWEST_INLIERS:
        return None
    cv2.setRNGSeed(0)
    affine, agree = cv2.estimateAffine2D(
        from_a,
        to_b,
        method=cv2.RANSAC,
        ransacReprojThreshold=_TOLERANCE * b.size[0],
        maxIters=2000,
        confidence=0.999,
    )
    if affine is None or not _plausible(np.asarray(affine)):
        return None
    agrees = np.asarray(agree).ravel().astype(bool)
    agreeing = to_b[agrees]
    apart = _APART * b.size[0]
    if min(_distinct(from_a[agrees], apart), _distinct(agreeing, apart)) < _FEWEST_INLIERS:
        return None
    middle = np.median(agreeing, axis=0)
    x, y = agreeing[np.argmin(((agreeing - middle) ** 2).sum(axis=1))]
    return Point(float(x) / b.size[0], float(y) / b.size[1])


def _distinct(points: Float64, apart: float) -> int:
    """The number of distinct points among ``points`` [N, 2], counted up to the required minimum."""
    kept: list[Float64] = []
    for point in points:
        if all(np.hypot(*(point - other)) > apart for other in kept):
            kept.append(point)
            if len(kept) == _FEWEST_INLIERS:
                break
    return len(kept)


def on_mask(points: Float64, size: tuple[int, int], mask: Bool) -> Bool:
    """``[N]``: which of ``points`` [N, 2], in pixels of an image of ``size``, lie in ``mask``; the mask may
    differ from the image in size.
    """
    height, width = mask.shape
    columns = np.clip((points[:, 0] * width / size[0]).astype(np.intp), 0, width - 1)
    rows = np.clip((points[:, 1] * height / size[1]).astype(np.intp), 0, height - 1)
    return np.asarray(mask[rows, columns])


def _plausible(affine: Float64) -> bool:
    """Whether a map does not mirror, and scales no more than two views of one room can."""
    stretch = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(np.linalg.det(affine[:, :2]) > 0 and stretch[0] < 6.0 and stretch[1] > 1 / 12)
