"""Task2A: the Task1 pairs whose query does not show the object. The answer is NOT_VISIBLE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import Draft, Pairs, SpatialObject
from x3spatial.tasks.task1 import draft_multi


def draft(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    """Exactly the Task1 multi samples whose query mask is empty, with ids ``T2A_...``."""
    for sample in draft_multi(item, pairs, template):
        if sample.query.target is None:
            renamed = "T2A_MULTI" + sample.id.removeprefix("T1_MULTI")
            yield replace(sample, id=renamed, task="t2a_multi")
