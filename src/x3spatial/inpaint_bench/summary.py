"""What a bench found: one row per engine, best first, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from x3spatial.formats.results_file import CiUnit
from x3spatial.inpaint_bench.measure import REFERENCES
from x3spatial.inpaint_bench.statistics import Estimate
from x3spatial.roots.findings import Problem
from x3spatial.tables import Table, Tabular, figure
from x3spatial.texts import counted

FORMAT = 1
"""Of ``inpaint-bench.json``."""
MEASURES: dict[str, tuple[str, int]] = {
    "mae": ("MAE\nin hole", 2),
    "ssim": ("SSIM\nin hole", 3),
    "gradient": ("gradient\nerror", 2),
    "outside": ("change\noutside", 2),
    "cpu_s": ("CPU s\nan image", 2),
}
"""Measure of a view → head and digits in the table."""
HIT, HEAD = "hit_at_mask_tight", "tight hits"
"""The metric of models in the table: any change of the hole, which is the dilated mask, hits that one."""
_WITH_INTERVAL = ("mae",)
"""The measures whose interval is in the table; that of each is in the JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model's answers to Task2B on the images of one engine."""

    results: str
    """Path of the results file."""
    metrics: Mapping[str, Any]
    ci95: Mapping[str, Any]
    errors: int
    """Samples without an answer."""
    difference: Estimate | None = None
    """Hit@Mask, tight masks, less that on the true images, on the views of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRow:
    """The figures of one engine, or of a reference."""

    engine: str
    describe: Mapping[str, Any]
    views: int
    objects: int
    scenes: int
    measures: Mapping[str, Estimate]
    """See ``MEASURES``: means over views."""
    models: Mapping[str, ModelRow] = field(default_factory=dict)
    mae_difference: Estimate | None = None
    """MAE less that of the best engine, on the views of both; None for the best one and for references."""

    @property
    def is_reference(self) -> bool:
        """Whether it is no engine."""
        return self.engine in REFERENCES


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BenchSummary(Tabular):
    """The result of ``bench_engines``."""

    out_dir: Path
    data_root: Path
    rows: tuple[EngineRow, ...]
    """Engines by MAE, the best first; then the references."""
    models: tuple[str, ...]
    ci_unit: CiUnit | None
    true_outside: float
    """Mean difference of the true images to the originals outside of the hole: shadows and light."""
    rendered: bool
    """Whether all scenes were rendered by ``x3 scenes``, so that their true images are exact."""
    made: int
    """Images that were made now; others are of an earlier run."""
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """Samples without an answer."""
        return sum(model.errors for row in self.rows for model in row.models.values())

    def table(self) -> Table:
        """One row per engine."""
        columns = ["engine", *(head for head, _ in MEASURES.values())]
        columns += [f"{model}\n{HEAD}" for model in self.models]
        rows = [self._cells(row) for row in self.rows]
        first = self.rows[0]
        title = (
            f"{counted(first.views, 'view')} of {counted(first.objects, 'object')} in"
            f" {counted(first.scenes, 'scene')} of {self.data_root}"
        )
        return Table(title, tuple(columns), tuple(rows), self._notes())

    def _cells(self, row: EngineRow) -> tuple[str, ...]:
        cells = [row.engine]
        for name, (_, digits) in MEASURES.items():
            found = row.measures[name]
            if name == "cpu_s" and row.is_reference:
                cells.append("-")
            else:
                interval = found.ci95 if name in _WITH_INTERVAL else None
                cells.append(figure(found.mean, interval, digits))
        for model in self.models:
            made = row.models[model]
            cells.append(figure(made.metrics[HIT], made.ci95[HIT]))
        return tuple(cells)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        best = self.rows[0].engine
        for row in self.rows[1:]:
            if row.mae_difference is not None:
                shown = _signed(row.mae_difference, 2)
                notes.append(f"MAE of {row.engine} less that of {best}, same views: {shown}")
        for row in self.rows:
            for model, made in row.models.items():
                if made.difference is not None and not row.is_reference:
                    shown = _signed(made.difference, 3)
                    notes.append(f"{model} on {row.engine} less on the true images: {shown}")
        if len({row.views for row in self.rows}) > 1:
            counts = ", ".join(f"{row.engine} {row.views}" for row in self.rows)
            notes.append(f"views differ ({counts}): compare the differences, not the means")
        notes.append(
            "levels 0 to 255; the hole is the dilated mask; tight hits: Hit@Mask of Task2B with tight masks"
        )
        notes.append(
            "outside of the hole the true images differ from the"
            f" originals by {self.true_outside:.2f} (shadows, light)"
        )
        notes.append(
            f"95 % intervals over {self.ci_unit}s"
            if self.ci_unit
            else "no intervals: fewer than 10 objects"
        )
        return tuple(notes)

    def to_json(self) -> dict[str, Any]:
        """The content of ``inpaint-bench.json``, without what differs from run to run."""
        return {
            "format": FORMAT,
            "data_root": str(self.data_root),
            "rendered": self.rendered,
            "ci_unit": self.ci_unit,
            "true_outside": self.true_outside,
            "engines": [asdict(row) for row in self.rows],
            "problems": [problem._asdict() for problem in self.problems],
        }


def ranked(
    rows: Sequence[EngineRow],
) -> tuple[EngineRow, ...]:
    """Engines by their MAE, then the references in their own order."""
    engines = sorted(
        (row for row in rows if not row.is_reference), key=lambda row: row.measures["mae"].mean
    )
    return (*engines, *(row for row in rows if row.is_reference))


def with_difference(row: EngineRow, found: Estimate | None) -> EngineRow:
    """The row with its difference to the best engine."""
    return replace(row, mae_difference=found)


def _signed(found: Estimate, digits: int) -> str:
    text = f"{found.mean:+.{digits}f}"
    if found.ci95 is None:
        return text
    low, high = found.ci95
    return f"{text} [{low:+.{digits}f}, {high:+.{digits}f}]"
