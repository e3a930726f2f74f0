"""Task1: find the object of view A in view B, in two images or in one side-by-side image.

The counterfactual set asks the question of each pair again with the object taken out of view B.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from x3spatial.tasks.answers import NOT_VISIBLE, answer_text, point_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.parsing import first_pair
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import (
    Draft,
    Inpainted,
    Marked,
    Original,
    Pairs,
    SideBySide,
    SpatialObject,
)


def draft_multi(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """[A marked, B original]; the answer is in the frame of B."""
    for a, b in pairs.pairs:
        yield Draft(
            id=f"T1_MULTI_{item.scene}_uid{item.uid}_A{a.name}_B{b.name}",
            task="t1_multi",
            images=(Marked(a), Original(b)),
            reference=a,
            query=b,
            question=template.question,
            prompt=template.render(),
            answer=answer_text(b.target, b.mask, Frame.IMAGE),
        )


def draft_concat(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """A and B side by side, the object of A given by a point; all points refer to the whole image."""
    for a, b in pairs.pairs:
        assert a.target is not None, "pair_views leaves out references with an empty mask"
        point = point_text(a.target, a.mask, Frame.CONCAT_LEFT)
        yield Draft(
            id=f"T1_CONCAT_{item.scene}_uid{item.uid}_A{a.name}_B{b.name}",
            task="t1_concat",
            images=(SideBySide(a, b),),
            reference=a,
            query=b,
            question=template.question,
            prompt=template.render(point),
            answer=answer_text(b.target, b.mask, Frame.CONCAT_RIGHT),
            reference_point=first_pair(point),
        )


def draft_marked(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """Each reference view, marked. The build pairs it with other folders' views that do not show the object.

    The second image, the original of the same view, is a placeholder.
    """
    for a in dict.fromkeys(a for a, _ in pairs.pairs):
        yield Draft(
            id=f"T1_NEGATIVES_{item.scene}_uid{item.uid}_A{a.name}",
            task="t1_negatives",
            images=(Marked(a), Original(a)),
            reference=a,
            query=a,
            question=template.question,
            prompt=template.render(),
            answer=NOT_VISIBLE,
        )


def draft_counterfactual(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """[A marked, B inpainted] of each Task1 multi pair whose view B shows the object: NOT_VISIBLE.

    The query is view B, so that the record's mask is that of the removed object: an answer at its old place
    can be counted. Views without an inpainted image give no sample.
    """
    for sample in draft_multi(item, pairs, template):
        if sample.query.target is None or not sample.query.has_inpainted:
            continue
        yield replace(
            sample,
            id="T1_COUNTERFACTUAL" + sample.id.removeprefix("T1_MULTI"),
            task="t1_counterfactual",
            images=(sample.images[0], Inpainted(sample.query)),
            answer=NOT_VISIBLE,
            twin=sample.id,
        )
