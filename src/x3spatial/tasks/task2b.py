"""Task2B: point to the object that was removed between the original and the inpainted image of a view.

``t2b_added`` shows the two images in the other order: the object was added. ``t2b_unchanged`` shows a changed
and an unchanged pair of each view under one prompt that allows NO_CHANGE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from x3spatial.tasks.answers import NO_CHANGE, answer_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import Draft, Inpainted, Original, PairImage, Pairs, SpatialObject


def draft(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """One sample per view that shows the object; the answer is in the frame of the inpainted image.

    ``pairs`` is not used; it is part of the common signature.
    """
    for view in item.views:
        if view.target is None or not view.has_inpainted:
            continue
        yield Draft(
            id=f"T2B_MULTI_{item.scene}_uid{item.uid}_K{view.name}",
            task="t2b_multi",
            images=(Original(view), Inpainted(view)),
            reference=view,
            query=view,
            question=template.question,
            prompt=template.render(),
            answer=answer_text(view.target, view.mask, Frame.IMAGE),
        )


def draft_added(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """The images of ``draft`` in the other order; the answer is in the frame of the original image."""
    for sample in draft(item, pairs, template):
        yield replace(
            sample,
            id="T2B_ADDED" + sample.id.removeprefix("T2B_MULTI"),
            task="t2b_added",
            images=sample.images[::-1],
        )


def draft_unchanged(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """Two samples per sample of ``draft``: the unchanged pair ``..._SAME`` and the changed pair ``..._DIFF``.

    The answers are NO_CHANGE and that of ``draft``. Both pairs begin with the same image.
    """
    for sample in draft(item, pairs, template):
        stem = "T2B_UNCHANGED" + sample.id.removeprefix("T2B_MULTI")
        before = PairImage(sample.query, "before")
        changed = replace(
            sample,
            id=f"{stem}_DIFF",
            task="t2b_unchanged",
            images=(before, PairImage(sample.query, "removed")),
        )
        yield replace(
            changed,
            id=f"{stem}_SAME",
            images=(before, PairImage(sample.query, "same")),
            answer=NO_CHANGE,
        )
        yield changed
