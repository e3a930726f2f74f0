"""The result of a zero-shot evaluation: what each model reached on each set, and ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.builder.manifest import MANIFEST
from x3spatial.builder.summary import BuildSummary
from x3spatial.errors import packages_of
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.results_folders import add_results_below
from x3spatial.evaluation.twins import FOLLOWS_OBJECT, follows, twins_of
from x3spatial.formats.results_file import ConsistencyRow, read_results
from x3spatial.formats.task_file import read_records
from x3spatial.formats.typed_json import encode
from x3spatial.io.files import read_json
from x3spatial.tables import Table, Tabular, figure
from x3spatial.tasks.spec import TASKS

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    ("Hit@Mask", "hit_at_mask"),
    ("mean IoU", "mean_iou"),
    ("NOT_VISIBLE acc", "not_visible_accuracy"),
    ("balanced acc", "balanced_accuracy"),
    ("unparsed", "parse_failures"),
    ("errors", "errors"),
)
"""Column heads and metrics of the summary table; those that no result has are left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one set: a result, or the reason why there is none."""

    model: str
    spec: str
    result: EvalResult | None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class SetSummary:
    """One set: number of samples, chance baselines, and one cell per model."""

    name: str
    data_json: Path
    chance: Mapping[str, Mapping[str, Any] | None]
    cells: tuple[Cell, ...]
    samples: int | None = None
    """Number of samples; None if the set was not built."""
    reason: str | None = None
    """Why the build could not make the set; None if it could."""


@dataclass(frozen=True, slots=True, repr=False)
class ZeroshotSummary(Tabular):
    """The result of ``zeroshot``."""

    summary_json: Path
    built: BuildSummary | None
    """None if existing task files were used without a data root."""
    sets: tuple[SetSummary, ...]
    consistency: Mapping[str, Mapping[str, ConsistencyRow]] = field(default_factory=dict)
    """Model → figure → how often related answers are right together; see ``consistency_of``."""

    @property
    def errors(self) -> int:
        """Number of samples without an answer, over all models and sets."""
        return sum(cell.result.errors for part in self.sets for cell in part.cells if cell.result)

    def table(self) -> Table:
        """One row per set and model."""
        rows = []
        results = [cell.result for part in self.sets for cell in part.cells if cell.result]
        columns = [
            (head, name) for head, name in _COLUMNS if any(name in one.metrics for one in results)
        ]
        for part in self.sets:
            for cell in part.cells:
                if cell.result is not None:
                    metrics, ci95 = cell.result.metrics, cell.result.ci95
                    figures = [figure(metrics.get(name), ci95.get(name)) for _, name in columns]
                    name = f"{cell.model}*" if cell.result.privileged else cell.model
                    rows.append((part.name, name, *figures))
        heads = tuple(head for head, _ in columns)
        notes = [f"no {part.name}: {part.reason}" for part in self.sets if part.reason]
        notes.append(f"summary: {self.summary_json}")
        if any(result.privileged for result in results):
            notes.insert(0, "* reads masks or right answers")
        conditions = "; ".join(sorted({r.conditions for r in results if r.conditions}))
        title = f"zero-shot: {conditions}" if conditions else "zero-shot"
        return Table(title, ("set", "model", *heads), tuple(rows), tuple(notes), keys=2)

    def to_json(self) -> dict[str, Any]:
        """The path and the content of ``summary.json``, and the number of samples without an answer."""
        stored: dict[str, Any] = read_json(self.summary_json)
        return {"summary": str(self.summary_json), "errors": self.errors, **stored}

    def to_dataframe(self) -> pd.DataFrame:
        """One row per set, model and sample.

        Raises:
            UserError: a results file no longer exists, or pandas is not installed.
        """
        with packages_of("dataframe", ".to_dataframe()"):
            import pandas as pd
        frames = []
        for part in self.sets:
            for cell in part.cells:
                if cell.result is not None:
                    frame = cell.result.to_dataframe()
                    frame.insert(0, "model", cell.model)
                    frame.insert(0, "set", part.name)
                    frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def consistency_of(parts: Sequence[SetSummary]) -> dict[str, dict[str, ConsistencyRow]]:
    """The consistency of each model: that of Task1 multi, and across the sets with and without the object."""
    found: dict[str, dict[str, ConsistencyRow]] = {}
    asked: dict[str, dict[str, tuple[EvalResult, Path]]] = {}
    for part in parts:
        for cell in part.cells:
            if cell.result is not None:
                task = next(t.name for t in TASKS.values() if t.title == part.name)
                asked.setdefault(cell.model, {})[task] = cell.result, part.data_json
    for model, results in asked.items():
        rows = dict(results["t1_multi"][0].consistency) if "t1_multi" in results else {}
        for name, (result, data_json) in results.items():
            plain = results.get("t1_multi")
            if TASKS[name].mask_of_removed and plain is not None:
                records = read_records(data_json)
                first, second = plain[0].output_json, result.output_json
                if twins_of(records) and first is not None and second is not None:
                    rows[FOLLOWS_OBJECT] = follows(
                        read_results(first), read_results(second), records
                    )
        if rows:
            found[model] = rows
    return found


def summary_json(summary: ZeroshotSummary, tasks_dir: Path) -> dict[str, Any]:
    """The content of ``summary.json``, with all results below its folder."""
    manifest = tasks_dir / MANIFEST
    sets = [
        {
            "set": part.name,
            "data_json": str(part.data_json),
            "samples": part.samples,
            **({} if part.reason is None else {"reason": part.reason}),
            "chance": part.chance,
            "models": [_cell_to_json(cell) for cell in part.cells],
        }
        for part in summary.sets
    ]
    add_results_below(summary.summary_json.parent, sets)
    return {
        "data": {
            "out_dir": str(tasks_dir),
            "build": read_json(manifest)["counts"] if manifest.is_file() else None,
        },
        "sets": sets,
        "consistency": {
            model: {name: encode(row) for name, row in rows.items()}
            for model, rows in summary.consistency.items()
        },
    }


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    if cell.result is None:
        return {"model": cell.model, "spec": cell.spec, "skipped": cell.skipped}
    return {
        "model": cell.model,
        "spec": cell.spec,
        "results": str(cell.result.output_json),
        "metrics": cell.result.metrics,
        "ci95": cell.result.ci95,
        "ci_unit": cell.result.ci_unit,
        "ci_method": cell.result.ci_method,
        "privileged": cell.result.privileged,
        "conditions": cell.result.conditions,
        "by_mask_area": [encode(row) for row in cell.result.by_mask_area],
        "unparsed_reasons": cell.result.unparsed_reasons,
        "unread": list(cell.result.unread),
        "first_error": cell.result.first_error,
    }
