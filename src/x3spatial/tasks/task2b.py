"""Task2B: point to the object that was removed between the original and the inpainted image of a view."""

from __future__ import annotations

from collections.abc import Iterator

from x3spatial.tasks.answers import answer_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import Draft, Inpainted, Original, Pairs, SpatialObject


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
