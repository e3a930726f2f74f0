"""Prompts for points written another way: the record's question with a paragraph on the format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Words:
    """How a task's paragraph speaks."""

    lead: str
    image: str
    tail: str = ""
    absent: str = ""


_ABSENT = " If it cannot be seen there, answer NOT_VISIBLE."
_TWO_VIEWS = _Words(
    lead="If the object can be seen in the second image, answer with one point on it",
    image="the second image",
    absent=_ABSENT,
)
_WORDS = {
    "t1_multi": _TWO_VIEWS,
    "t2a_multi": _TWO_VIEWS,
    "t1_concat": _Words(
        lead="If the object can be seen in the right half, answer with one point on it",
        image="the whole image",
        tail=" The position is that in the whole image, so it lies right of its middle.",
        absent=_ABSENT,
    ),
    "t2b_multi": _Words(lead="Answer with one point on that place", image="the second image"),
    "t0_marked": _Words(lead="Answer with one point on it", image="the image"),
}


def _filled(text: str, task: str, size: tuple[int, int]) -> str:
    """``text`` with its image named and measured."""
    named = text.replace("{image}", _WORDS[task].image)
    return named.replace("{width}", str(size[0])).replace("{height}", str(size[1]))


def prompt_for(
    task: str,
    question: str,
    *,
    ask: str,
    size: tuple[int, int],
    reference: str | None = None,
    measure: str = "",
) -> str:
    """Question, reference point if there is one, and format paragraph, in this order.

    Args:
        task: decides how the paragraph speaks of image and object.
        question: the task without any paragraph on the format.
        ask: how the answer is to be written, after "answer with one point on it".
        size: (W, H) of the image that the points are written for.
        reference: the given point, already written.
        measure: how the given point is to be read.
    """
    words = _WORDS[task]
    parts = [question]
    if reference is not None:
        parts.append(_filled(f"The reference point is {reference}, {measure}.", task, size))
    parts.append(_filled(f"{words.lead} {ask}.", task, size) + words.tail + words.absent)
    return "\n".join(parts)
