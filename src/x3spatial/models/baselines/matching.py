"""From point matches between two views to where a marked object is, shared by the matching baselines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float64, IntP, UInt8
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import (
    LruCache,
    asks_for_point,
    load_mask,
    load_rgb,
    record_field,
    record_path,
    say,
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
    """What a matcher needs of one image."""

    size: tuple[int, int]
    """(W, H)."""
    points: Float64
    """``[N, 2]`` pixels, the first pixel's centre being (0.5, 0.5)."""
    data: Any
    """The matcher's own: descriptors and the like."""


def read_source(source: Source) -> UInt8:
    """The pixels ``[H, W, 3]`` of a source.

    Raises:
        ImageError: missing, unreadable or damaged.
    """
    image = load_rgb(source.path)
    half = image.shape[1] // 2
    if source.part == "left":
        return np.ascontiguousarray(image[:, :half])
    return np.ascontiguousarray(image[:, half:]) if source.part == "right" else image


def sources(question: Question) -> tuple[Source, Source]:
    """Where to see A and B best: the unmarked originals where the record names them."""
    reference, query = (record_field(question, name) for name in ("ref_original", "query_original"))
    if question.is_concat:
        a, b = Source(question.images[0], "left"), Source(question.images[0], "right")
    else:
        a, b = Source(question.images[0], "whole"), Source(question.images[-1], "whole")
    return (
        a if reference is None else Source(Path(reference), "whole"),
        b if query is None else Source(Path(query), "whole"),
    )


class MatchingModel(Model):
    """Matches A with B and says where the marked object's matches lie.

    It knows which pixels of A are the object from ``ref_mask``: privileged. Features are kept per
    image: with one anchor the reference is asked about four times.
    """

    privileged = True
    needs = frozenset({"ref_mask"})
    object_only: ClassVar[bool] = False
    """Whether ``extract`` is given the object's mask for A; B's features are always of the whole."""

    def __init__(self) -> None:
        self._features = LruCache(self._extract, capacity=32)
        self._mask = LruCache(load_mask, capacity=32)

    def can_answer(self, task: str) -> bool:
        """Tasks with a reference view and a query view."""
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
        """Features of an image ``[H, W, 3]``; with a mask, only those on the object matter."""

    @abstractmethod
    def match(self, a: Features, b: Features) -> IntP:
        """``[M, 2]`` indices into the points of ``a`` and ``b``: tentative matches."""

    def prepare(self, questions: Sequence[Question]) -> None:
        """Find the features ahead."""
        for question in questions:
            self._pair(question)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """A point or NOT_VISIBLE for each."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> str:
        a, b = self._pair(question)
        mask = self._mask(record_path(question, "ref_mask"))
        pairs = self.match(a, b)
        point = locate(a, b, pairs, mask)
        return NOT_VISIBLE if point is None else say(point, question)


_FEWEST_INLIERS = 4
"""Three points fix an affine map, so the fourth is the first that agrees with it."""
_APART = 0.005
"""How far apart, of the image's width, two matches are two places and not one seen twice."""
_TOLERANCE = 0.02
"""How far, of the image's width, a match may lie from the common affine map."""


def locate(a: Features, b: Features, pairs: IntP, mask: Bool) -> Point | None:
    """Where the object under ``mask`` of A is in B, normalised; None if too few matches agree.

    The object's matches must agree on one affine map, as those of a small thing seen from another side
    roughly do. The answer is the matched point nearest to the middle of those that agree: a point that
    was seen on the object, where a mean may fall beside it.
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
    """How many of ``points`` [N, 2] are different places, counted no further than it matters."""
    kept: list[Float64] = []
    for point in points:
        if all(np.hypot(*(point - other)) > apart for other in kept):
            kept.append(point)
            if len(kept) == _FEWEST_INLIERS:
                break
    return len(kept)


def on_mask(points: Float64, size: tuple[int, int], mask: Bool) -> Bool:
    """Which of ``points`` [N, 2] (pixels of an image of ``size``) fall in ``mask``, in its own grid."""
    height, width = mask.shape
    columns = np.clip((points[:, 0] * width / size[0]).astype(np.intp), 0, width - 1)
    rows = np.clip((points[:, 1] * height / size[1]).astype(np.intp), 0, height - 1)
    return np.asarray(mask[rows, columns])


def _plausible(affine: Float64) -> bool:
    """Whether a map neither mirrors nor shrinks or stretches beyond what two views in a room do."""
    stretch = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(np.linalg.det(affine[:, :2]) > 0 and stretch[0] < 6.0 and stretch[1] > 1 / 12)
