"""Samples of a task file in the form in which they are exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from x3spatial.engine.shards import Shard
from x3spatial.exporters.image_paths import ImagePlacer
from x3spatial.exporters.plan import ExportPlan, absolute, is_held
from x3spatial.exporters.rewrite import Rewriter
from x3spatial.exporters.samples import Sample
from x3spatial.formats.image_paths import with_paths
from x3spatial.formats.task_file import iter_records
from x3spatial.io.members import MemberPath, file_at
from x3spatial.tasks.spec import says_absent

LEFT_OUT = "not_visible_left_out"
"""The count of samples that a format without "not visible" does not hold."""


@dataclass(slots=True)
class Tally:
    """What an export counts; that of a shard is added to others."""

    counts: Counter[str] = field(default_factory=Counter)
    copies: set[str] = field(default_factory=set)
    """Names of copied images."""
    turned: set[str] = field(default_factory=set)
    """Files with an orientation tag."""
    longer: int = 0
    """Points with more decimals than usual."""
    unsafe: int = 0
    """Placeholders that the trainer's rounding may move off a thin mask."""


class Sampler:
    """Makes the samples of task files, and counts them.

    Args:
        plan: the export.
        copies_dir: where images are copied to, if they are moved to the export later; None: to the export.
        shard: only every Nth record of each task file; None: all.
    """

    def __init__(
        self, plan: ExportPlan, copies_dir: Path | None = None, shard: Shard | None = None
    ) -> None:
        self._plan = plan
        self._shard = shard
        self._placer = ImagePlacer(plan.paths, plan.out_dir, copies_dir)
        self._rewriter = Rewriter(plan.points, plan.limits)
        self._counts: Counter[str] = Counter()

    @property
    def tally(self) -> Tally:
        """What was counted up to now."""
        placer, rewriter = self._placer, self._rewriter
        turned = {str(file) for file in placer.turned}
        return Tally(self._counts, placer.copies, turned, rewriter.longer, rewriter.unsafe)

    def samples(self, source: Path) -> Iterator[Sample]:
        """The samples of a task file.

        Raises:
            UserError: a record or an image cannot be used.
        """
        form, placer, counts = self._plan.form, self._placer, self._counts
        paths = self._plan.located(source)
        for place, listed in enumerate(islice(iter_records(source), self._plan.limit)):
            if self._shard is not None and not self._shard.has(place):
                continue
            if not is_held(form, listed):
                counts[LEFT_OUT] += 1
                continue
            record = with_paths(listed, paths.find)
            where = f"{source}: record {record.id}"
            images = tuple(placer.place(located(path), where) for path in record.images)
            sample = self._rewriter.sample(record, images, where)
            if form.tags:
                sample = sample.tagged()
            if form.with_mask and record.query_mask is not None:
                mask = placer.place_mask(located(record.query_mask), where)
                sample = replace(sample, query_mask=mask)
            if form.with_files:

                def placed(path: str, where: str = where) -> str:
                    return placer.place(located(path), where).written

                sample = replace(sample, placed=with_paths(record, placed))
            sample.check(where, tags=form.tags)
            counts["records"] += 1
            counts["not_visible"] += says_absent(record.answer)
            counts[record.task] += 1
            yield sample


def located(path: str) -> Path:
    """The file at a path of a record."""
    file = file_at(path)
    return file if isinstance(file, MemberPath) else absolute(path)
