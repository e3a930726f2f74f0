"""Scoring of replies: metrics, intervals, chance baselines and entries of a results file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.conventions.base import Convention
from x3spatial.conventions.registry import find_convention
from x3spatial.engine.ordered import map_ordered
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.scoring.masks import NO_MASKS, MaskFinder, Masks
from x3spatial.evaluation.scoring.scores import (
    Score,
    Truth,
    failed,
    score_answer,
    truth_of,
)
from x3spatial.evaluation.statistics.by_stratum import Samples, size_rows, stratum_rows
from x3spatial.evaluation.statistics.chance import Chance, ChanceSample, ChanceTable, chance_rows
from x3spatial.evaluation.statistics.consistency import consistency
from x3spatial.evaluation.statistics.intervals import groups_of, intervals
from x3spatial.evaluation.statistics.metrics import Table, compute, table_of
from x3spatial.evaluation.stored import entry_of
from x3spatial.evaluation.unread import counted_reasons, unread_reason
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import (
    CiMethod,
    CiUnit,
    ConsistencyRow,
    DataInfo,
    Interval,
    MaskChoice,
    MaskProblem,
    ModelInfo,
    ResultsFile,
    RunInfo,
    RunSettings,
    ScoringInfo,
    ScoringRule,
    SizeRow,
    StratumRow,
    Value,
)
from x3spatial.formats.task_file import TaskRecord
from x3spatial.program.collector import collector_paused
from x3spatial.tasks.question import Question

_PART = 256
"""Samples that a thread scores at once: a multiple of those that share masks."""
NEVER_ASKED = "not asked"
_NEVER_ASKED = Reply(None, NEVER_ASKED)


@dataclass(frozen=True, slots=True)
class _Part:
    """Scored neighbours of a task file, as columns where the samples themselves are not needed."""

    scores: list[Score]
    table: Table
    chance: ChanceTable
    areas: Float64
    problems: dict[str, str]


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """Scored replies, in the order of the records."""

    rule: ScoringRule
    mask: MaskChoice
    scores: tuple[Score, ...]
    metrics: dict[str, Value]
    ci95: dict[str, Interval | None]
    ci_method: dict[str, CiMethod | None]
    ci_unit: CiUnit | None
    chance: dict[str, dict[str, float | None] | None]
    by_mask_area: tuple[SizeRow, ...]
    by_stratum: dict[str, tuple[StratumRow, ...]]
    consistency: dict[str, ConsistencyRow]
    problems: tuple[MaskProblem, ...]
    """Unreadable masks, each path once."""
    mask_kinds: dict[str, int]
    """Kind of mask → number of samples whose visibility and hits it decides."""
    unparsed_reasons: dict[str, int]
    """Reason → number of answers that could not be read."""

    def complete(
        self,
        *,
        settings: RunSettings,
        versions: dict[str, str],
        model: ModelInfo,
        data: DataInfo,
        run: RunInfo,
    ) -> ResultsFile:
        """Combine the scores with the information about the run into a results file."""
        head = self.head(settings=settings, versions=versions, model=model, data=data, run=run)
        return replace(head, results=tuple(self.entries()))

    def entries(self) -> Iterator[SampleResult]:
        """The entries of the results file, each made when it is taken."""
        return (entry_of(score, self.rule) for score in self.scores)

    def head(
        self,
        *,
        settings: RunSettings,
        versions: dict[str, str],
        model: ModelInfo,
        data: DataInfo,
        run: RunInfo,
    ) -> ResultsFile:
        """The results file without its entries."""
        return ResultsFile(
            metrics=self.metrics,
            ci95=self.ci95,
            ci_method=self.ci_method,
            ci_unit=self.ci_unit,
            chance=self.chance,
            by_mask_area=self.by_mask_area,
            by_stratum=self.by_stratum,
            consistency=self.consistency,
            unparsed_reasons=self.unparsed_reasons,
            scoring=ScoringInfo(self.rule, self.mask, self.mask_kinds),
            problems=self.problems,
            settings=settings,
            versions=versions,
            model=model,
            data=data,
            run=run,
            results=(),
        )


def score_reply(
    record: TaskRecord,
    truth: Truth,
    masks: Masks,
    reply: Reply,
    *,
    convention: Convention,
    rule: ScoringRule,
    question: Question | None = None,
) -> Score:
    """Score the reply to one record; ``question`` is that of the record, None to make it.

    Raises:
        UserError: the reply lacks the image sizes that the convention needs.
    """
    if reply.text is None:
        outcome = failed(record, truth, reply.error or NEVER_ASKED)
        return replace(
            outcome, images_seen=reply.seen, pixel_sizes=reply.sizes, details=reply.details
        )
    if question is None:
        question = question_of(record, None)
    try:
        answer = convention.parse(reply.text, question, reply.sizes)
    except ValueError as error:  # the results file lacks the image sizes
        raise UserError(f"the answer to {record.id} cannot be read: {error}") from None
    return score_answer(
        record,
        truth,
        reply.text,
        answer,
        masks,
        rule=rule,
        reads_text=convention.name == "unit",
        boxes=convention.answers == "box",
        images_seen=reply.seen,
        pixel_sizes=reply.sizes,
        details=reply.details,
    )


def score_run(
    records: Sequence[TaskRecord],
    replies: Mapping[str, Reply],
    *,
    convention: str,
    rule: ScoringRule,
    mask: MaskChoice,
    workers: int,
) -> ScoredRun:
    """Score the reply to each record; a record without a reply counts as an error.

    The records hold the paths of their files (see ``ImagePaths.records``). Masks are read in ``workers``
    threads; the result does not depend on their number.

    Raises:
        UserError: the convention is unknown, the ground truth of a record cannot be parsed, or a reply lacks
            the image sizes that its convention needs.
    """
    family = find_convention(convention)
    finder = MaskFinder(mask, None)
    boxes = family.answers == "box"
    chance = Chance(None, finder.read, boxes=boxes)

    def part(chosen: Sequence[TaskRecord]) -> _Part:
        scores: list[Score] = []
        samples: list[ChanceSample] = []
        problems: dict[str, str] = {}
        for record in chosen:
            truth = truth_of(record)
            shown = truth.visible or record.spec.mask_of_removed
            masks = finder.masks(record) if shown else NO_MASKS
            reply = replies.get(record.id, _NEVER_ASKED)
            question = question_of(record, None, privileged=True)
            scores.append(
                score_reply(
                    record, truth, masks, reply, convention=family, rule=rule, question=question
                )
            )
            samples.append(chance.sample(record, truth, masks, question))
            if masks.problem is not None:
                problems.setdefault(*masks.problem)
        areas = np.array([sample.area for sample in samples], np.float64)
        return _Part(scores, table_of(scores), ChanceTable.of(samples), areas, problems)

    parts = (records[start : start + _PART] for start in range(0, len(records), _PART))
    with collector_paused():
        done = list(map_ordered(part, parts, workers=workers, ahead=workers + 1))
    scores = list(chain.from_iterable(one.scores for one in done))
    problems: dict[str, str] = {}
    for one in done:
        for path, reason in one.problems.items():
            problems.setdefault(path, reason)
    table = Table.joined([one.table for one in done])
    groups = groups_of(scores)
    clusters = groups.clusters()
    samples = Samples(table, groups, np.concatenate([np.empty(0), *(one.areas for one in done)]))
    found = intervals(table, clusters)
    return ScoredRun(
        rule=rule,
        mask=mask,
        scores=tuple(scores),
        metrics=compute(table),
        ci95=found.ci95,
        ci_method=found.method,
        ci_unit=clusters.unit,
        chance=chance_rows(ChanceTable.joined([one.chance for one in done]), boxes=boxes),
        by_mask_area=size_rows(samples),
        by_stratum=stratum_rows(records, samples),
        consistency=consistency(records, scores),
        problems=tuple(MaskProblem(path, reason) for path, reason in problems.items()),
        mask_kinds=dict(
            # Samples that are not visible too: whether they are depends on the kind of mask.
            sorted(Counter(finder.kind(record) for record in records).items())
        ),
        unparsed_reasons=counted_reasons(
            unread_reason(
                score.pred_text or "",
                question_of(record, None),
                score.pixel_sizes,
                score.details,
                convention,
            )
            for record, score in zip(records, scores, strict=True)
            if score.status == "unparsed"
        ),
    )
