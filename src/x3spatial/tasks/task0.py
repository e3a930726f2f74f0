"""Task0: point to the marked object in a single view.

It requires no spatial reasoning. A model that fails here cannot read the mark or cannot format a point, so
its results on two views are not informative. Small models learn to format points from it first.
"""

from __future__ import annotations

from collections.abc import Iterator

from x3spatial.tasks.answers import answer_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import Draft, Marked, Pairs, SpatialObject


def draft(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """One sample per view that shows the object; the answer is in the frame of that view.

    ``pairs`` is not used; it is part of the common signature.
    """
    for view in item.views:
        if view.target is None:
            continue
        yield Draft(
            id=f"T0_MARKED_{item.scene}_uid{item.uid}_A{view.name}",
            task="t0_marked",
            images=(Marked(view),),
            reference=view,
            query=view,
            question=template.question,
            prompt=template.render(),
            answer=answer_text(view.target, view.mask, Frame.IMAGE),
        )
