"""The result of an evaluation or of scoring again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from x3spatial.evaluation.assess import ScoredRun
from x3spatial.evaluation.matching import Matched
from x3spatial.evaluation.unread import examples
from x3spatial.formats.results_file import (
    CiMethod,
    CiUnit,
    ConsistencyRow,
    Interval,
    MaskProblem,
    ResultsFile,
    ScoringInfo,
    SizeRow,
    StratumRow,
    Value,
    read_results,
)
from x3spatial.formats.results_table import conditions, results_table
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted, shortened

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class EvalResult(Tabular):
    """The result of an evaluation or of scoring again."""

    output_json: Path | None
    """The results file; None if none was written (``score_answers`` without one)."""
    model: str
    metrics: dict[str, Value]
    ci95: dict[str, Interval | None]
    ci_unit: CiUnit | None
    chance: dict[str, dict[str, float | None] | None]
    by_mask_area: tuple[SizeRow, ...]
    """Visible samples by the share of the image that the object covers."""
    by_stratum: dict[str, tuple[StratumRow, ...]]
    """Stratum → a row per bin with samples; empty where nothing is known."""
    consistency: dict[str, ConsistencyRow]
    """Figure → how often related answers are right together; empty for sets without two views."""
    asked: int
    """Number of samples asked by this call."""
    kept: int
    """Number of samples with a stored answer of an earlier run."""
    errors: int
    """Number of samples without an answer; the command exits with code 1 if there are any."""
    first_error: str | None
    problems: tuple[MaskProblem, ...]
    ci_method: dict[str, CiMethod | None] = field(default_factory=dict)
    """Metric → how its interval was computed."""
    privileged: bool = False
    """Whether the model reads ground truth or masks."""
    conditions: str = ""
    """What the figures depend on besides model and data: ``dilated masks, build seed 42``."""
    unparsed_reasons: dict[str, int] = field(default_factory=dict)
    """Reason → number of answers that could not be read."""
    unread: tuple[str, ...] = ()
    """Up to three different answers that could not be read, quoted."""
    stopped: str | None = None
    """Why this call did not ask all questions; None if it did."""
    stored: ResultsFile | None = None
    """The content of the results file, if none was written."""
    matched: Matched | None = None
    """How ids of answers that were made elsewhere matched the samples."""

    def table(self) -> Table:
        """The main metrics."""
        title = f"{self.model}: {self.conditions}" if self.conditions else self.model
        table = results_table(title, self.metrics, self.ci95, self.ci_unit)
        notes = [] if self.output_json is None else [f"results: {self.output_json}"]
        if self.errors:
            notes.append(
                f"{counted(self.errors, 'sample')} without an answer; first:"
                f" {shortened(str(self.first_error))}"
            )
        return replace(table, notes=tuple(notes))

    def to_dataframe(self) -> pd.DataFrame:
        """One row per sample, read from the results file.

        Raises:
            UserError: the file no longer exists, or pandas is not installed.
        """
        return self.results_file().to_dataframe()

    def results_file(self) -> ResultsFile:
        """The whole results file.

        Raises:
            UserError: the file no longer exists.
        """
        if self.stored is not None:
            return self.stored
        assert self.output_json is not None, "without a file the content is kept"
        return read_results(self.output_json)

    @classmethod
    def of(
        cls,
        scored: ScoredRun,
        *,
        output_json: Path | None,
        model: str,
        asked: int,
        kept: int,
        stored: ResultsFile | None = None,
        matched: Matched | None = None,
        privileged: bool = False,
        build_seed: int | None = None,
        stopped: str | None = None,
    ) -> EvalResult:
        """The result of ``scored``."""
        scoring = ScoringInfo(scored.rule, scored.mask, scored.mask_kinds)
        failed = [f"{s.id}: {s.error}" for s in scored.scores if s.status == "error"]
        return cls(
            output_json=output_json,
            model=model,
            metrics=scored.metrics,
            ci95=scored.ci95,
            ci_unit=scored.ci_unit,
            chance=scored.chance,
            by_mask_area=scored.by_mask_area,
            by_stratum=scored.by_stratum,
            consistency=scored.consistency,
            asked=asked,
            kept=kept,
            errors=len(failed),
            first_error=failed[0] if failed else None,
            problems=scored.problems,
            stored=stored,
            matched=matched,
            ci_method=scored.ci_method,
            privileged=privileged,
            conditions=conditions(scoring, build_seed),
            unparsed_reasons=scored.unparsed_reasons,
            unread=examples(s.pred_text for s in scored.scores if s.status == "unparsed"),
            stopped=stopped,
        )
