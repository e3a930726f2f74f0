"""``x3 check-model``: ask for dots at known positions, with the same code as ``x3 eval``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from x3spatial.conventions.registry import find_convention
from x3spatial.errors import UserError
from x3spatial.evaluation.check_model.diagnosis import (
    ABSENT,
    BATCH_SHIFT,
    LEAST_ABSENT,
    LEAST_POINTS,
    POINTS,
    Check,
    ProbeAnswer,
    SizeRow,
    Verdict,
    diagnose,
    size_rows,
)
from x3spatial.evaluation.check_model.faults import EDGE_SHIFT, TOLERANCE
from x3spatial.evaluation.check_model.questions import (
    DOTS,
    Probe,
    dot_task,
    write_questions,
    write_task_file,
)
from x3spatial.evaluation.options import AskOptions, for_model
from x3spatial.evaluation.questions import missing_field
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_file import read_results
from x3spatial.io.files import make_dir
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.tables import Table, Tabular

LEAST_DOTS, MOST_DOTS = 4, 1000
_EVERY = 4
"""Every fourth question is asked again, one at a time."""


_HEADS = (
    "images", "asked", "points", "NOT_VISIBLE", "unparsed", "errors", "median px", "of diagonal",
    "worst px",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class ModelCheck(Tabular):
    """The result of ``check_model``."""

    model: str
    convention: str
    sizes: tuple[SizeRow, ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all checks passed; an undecided check has not passed."""
        return all(check.verdict == "pass" for check in self.checks)

    @property
    def outcome(self) -> Verdict:
        """The overall verdict; ``cannot tell`` if too few answers are points to detect a fault."""
        if self.passed:
            return "pass"
        verdicts = {check.name: check.verdict for check in self.checks}
        # NOT_VISIBLE is not counted: a model that gives no points may not use it either.
        faulty = any(v == "fail" for name, v in verdicts.items() if name != ABSENT)
        return "cannot tell" if verdicts[POINTS] == "cannot tell" and not faulty else "fail"

    def table(self) -> Table:
        """One row per image size, and the checks below."""
        rows = []
        for row in self.sizes:
            figures = "-", "-", "-"
            if (
                row.median_px is not None
                and row.median_part is not None
                and row.worst_px is not None
            ):
                figures = f"{row.median_px:.1f}", f"{row.median_part:.1%}", f"{row.worst_px:.1f}"
            counts = row.asked, row.points, row.not_visible, row.unparsed, row.errors
            rows.append((row.images, *map(str, counts), *figures))
        width = max(len(check.name) for check in self.checks)
        notes = [
            f"{check.name:{width}}  {check.verdict}  {check.detail}".rstrip()
            for check in self.checks
        ]
        title = f"{self.model}, convention {self.convention}: distance to the dot"
        return Table(title, _HEADS, tuple(rows), (*notes, f"check-model: {self.outcome}"))

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values, with the thresholds of the checks."""
        return {
            "model": self.model,
            "convention": self.convention,
            "outcome": self.outcome,
            "checks": [asdict(check) for check in self.checks],
            "sizes": [asdict(row) for row in self.sizes],
            "thresholds": {
                "median_error_of_diagonal": TOLERANCE,
                "edge_shift_of_side": EDGE_SHIFT,
                "points_of_questions_with_dot": LEAST_POINTS,
                "not_visible_of_questions_without_dot": LEAST_ABSENT,
                "batch_shift_of_diagonal": BATCH_SHIFT,
            },
        }


def check_model(
    model: str | Model,
    out: str | Path | None = None,
    options: AskOptions | None = None,
    *,
    dots: int = DOTS,
    workers: int | None = None,
    **changes: Any,
) -> ModelCheck:
    """Check a model's prompts and answer parsing on synthetic images with one dot.

    Every question is asked once in batches; a quarter of them are asked twice more, one at a time.

    Args:
        model: ``KIND[:ARG]`` of ``models.registry``, or a model object, which is not closed.
        out: folder for images, task files and results; None: they are not kept.
        options: options of the questions; None for the defaults. The batch size must be at least 2; the seed
            also determines the positions of the dots.
        dots: number of questions per image size.
        workers: see ``evaluate``.
        **changes: fields of ``AskOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``AskOptions`` has no such field.
        UserError: an option is out of range, the model cannot answer the questions, or ``evaluate`` fails.
    """
    options = replace(options or AskOptions(), **changes)
    out = None if out is None else Path(out)
    if dots < LEAST_DOTS:
        raise UserError(f"--dots {dots}: must be at least {LEAST_DOTS}, to fit scale and offset")
    if dots > MOST_DOTS:
        raise UserError(f"--dots {dots}: must be at most {MOST_DOTS}")
    if options.batch_size < 2:
        raise UserError(
            f"--batch-size {options.batch_size}: must be at least 2, to be compared with one at a time"
        )
    if "cache" in options.model_options:
        raise UserError(
            "--cache: kept answers say nothing about whether a model repeats itself; leave it out"
        )
    chosen = model if isinstance(model, Model) else registry.create(model, for_model(options))
    with nullcontext() if chosen is model else closing(chosen), dot_task(), _folder(out) as folder:
        counts_pixels = find_convention(chosen.convention).pixels is not None
        probes = write_questions(folder / "images", dots=dots, seed=options.seed)
        _check_askable(chosen, probes)

        def ask(name: str, questions: Sequence[Probe], batch_size: int) -> list[ProbeAnswer]:
            output_json = folder / f"{name}.json"
            evaluate(
                data_json=write_task_file(folder / f"questions_{name}.json", list(questions)),
                output_json=output_json,
                model=chosen,
                max_new_tokens=options.max_new_tokens,
                batch_size=batch_size,
                workers=workers,
                seed=options.seed,
                fresh=True,
            )
            entries = read_results(output_json).results
            return [
                ProbeAnswer.of(one, entry, counts_pixels=counts_pixels)
                for one, entry in zip(questions, entries, strict=True)
            ]

        answers = ask("batched", probes, options.batch_size)
        some = probes[::_EVERY]
        checks = diagnose(answers, ask("alone", some, 1), ask("again", some, 1))
    return ModelCheck(chosen.name, chosen.convention, tuple(size_rows(answers)), tuple(checks))


def _check_askable(chosen: Model, probes: Sequence[Probe]) -> None:
    """Check that the model can answer the questions; the message does not name the temporary task files.

    Raises:
        UserError: the model does not support the task of the questions or needs a field that they lack.
    """
    for record in (one.record for one in probes):
        if not chosen.can_answer(record.task) or missing_field(chosen, record) is not None:
            raise UserError(
                f"--model {chosen.name} cannot answer check-model's questions, which show it a dot;"
                " it needs what only its own tasks have"
            )


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        make_dir(out, "--out")
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="x3-check-model-") as folder:
        yield Path(folder)
