"""Shared code of the baselines: frames, answer texts, the privileged record, a small cache."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar, cast

from x3spatial.arrays import Bool, UInt8
from x3spatial.io.images import ImageError, read_mask, read_rgb
from x3spatial.io.members import file_at
from x3spatial.tasks.answers import POINT
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS, Views

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def asks_for_point(task: str, views: Views | None = None) -> bool:
    """Whether ``task`` is answered with a point and its questions show these ``views`` (None: any)."""
    spec = TASKS.get(task)
    return spec is not None and spec.answer is POINT and views in (None, spec.views)


def query_frame(question: Question) -> Frame:
    """The frame of the answer to ``question``."""
    return Frame.CONCAT_RIGHT if question.is_concat else Frame.IMAGE


def format_point(point: Point, question: Question) -> str:
    """``[(x, y)]`` for a point of the query image, in the frame of the answer.

    A point outside the image is moved to the nearest edge, because these models only point at visible
    objects.
    """
    inside = Point(min(max(point.x, 0.0), 1.0), min(max(point.y, 0.0), 1.0))
    full = query_frame(question).to_full(inside)
    return f"[({full.x:.6f}, {full.y:.6f})]"


def record_field(question: Question, name: str) -> str | None:
    """A text field of the privileged record; None if the record lacks it.

    Raises:
        ValueError: the question contains no record.
    """
    if question.record is None:
        raise ValueError(f"{question.id}: this model needs the record and was given none")
    return cast("str | None", question.record.get(name))


def needed_field(question: Question, name: str) -> str:
    """A text field of the privileged record.

    Raises:
        ValueError: the question contains no record, or the record lacks the field.
    """
    text = record_field(question, name)
    if text is None:
        raise ValueError(f"{question.id}: the record has no {name!r}, which this model needs")
    return text


def record_path(question: Question, name: str) -> Path:
    """A path of the privileged record.

    Raises:
        ValueError: the question contains no record, or the record lacks the field.
    """
    return file_at(needed_field(question, name))


def load_rgb(path: Path) -> UInt8:
    """``read_rgb``, with the path in the error.

    Raises:
        ImageError: the file is missing, unreadable or damaged.
    """
    try:
        return read_rgb(path)
    except ImageError as error:
        raise ImageError(f"{path}: {error.reason}") from None


def load_mask(path: Path) -> Bool:
    """``read_mask``, with the path in the error.

    Raises:
        ImageError: the file is missing, unreadable or damaged.
    """
    try:
        return read_mask(path)
    except ImageError as error:
        raise ImageError(f"{path}: {error.reason}") from None


class LruCache(Generic[K, V]):
    """A cache of the ``capacity`` most recently used values. Thread-safe.

    Values are computed outside the lock, so that a slow file does not block other threads. Two threads that
    miss the same key at once therefore both compute its value.
    """

    def __init__(self, make: Callable[[K], V], capacity: int) -> None:
        self._make = make
        self._capacity = capacity
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: K) -> V:
        """The value of ``key``, computed if it is not cached; exceptions of the computation are raised."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = self._make(key)
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)
        return value
