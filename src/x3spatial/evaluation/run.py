"""``x3 eval``: ask a model all questions of a task file and score its answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.conventions.registry import find_convention
from x3spatial.engine import rendezvous
from x3spatial.engine.cores import usable_cores
from x3spatial.engine.local import default_workers
from x3spatial.engine.rendezvous import Coordinator, Worker
from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.assess import ScoredRun, score_run
from x3spatial.evaluation.journal import Store, open_share, open_store
from x3spatial.evaluation.matching import Matched
from x3spatial.evaluation.options import (
    EvalOptions,
    check_mask_choice,
    check_scoring,
    check_workers,
    for_model,
)
from x3spatial.evaluation.provenance import data_provenance, versions
from x3spatial.evaluation.questions import check_supported
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.evaluation.settings import AnswerSettings
from x3spatial.evaluation.share import Inference
from x3spatial.evaluation.stored import failures
from x3spatial.evaluation.unread import examples
from x3spatial.formats.image_paths import ImagePaths, check_present, default_folder
from x3spatial.formats.results_file import (
    CiMethod,
    CiUnit,
    ConsistencyRow,
    Interval,
    MaskProblem,
    ModelInfo,
    ResultsFile,
    RunInfo,
    RunSettings,
    ScoringInfo,
    SizeRow,
    StratumRow,
    Value,
    check_replaceable,
    read_results,
    write_results,
)
from x3spatial.formats.results_table import conditions, results_table
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.formats.task_source import data_sha256 as task_sha256
from x3spatial.formats.task_source import recorded_path
from x3spatial.formats.typed_json import finite
from x3spatial.io.files import check_output
from x3spatial.models import registry
from x3spatial.models.base import Model
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

    @classmethod
    def read(cls, output_json: Path, *, asked: int, kept: int) -> EvalResult:
        """The result that rank 0 wrote.

        Raises:
            UserError: the results file is missing or damaged.
        """
        stored = read_results(output_json)
        failed = failures(stored)
        return cls(
            output_json=output_json,
            model=stored.model.name,
            metrics=stored.metrics,
            ci95=stored.ci95,
            ci_unit=stored.ci_unit,
            chance=stored.chance,
            by_mask_area=stored.by_mask_area,
            by_stratum=stored.by_stratum,
            consistency=stored.consistency,
            asked=asked,
            kept=kept,
            errors=len(failed),
            first_error=failed[0] if failed else None,
            problems=stored.problems,
            ci_method=stored.ci_method,
            privileged=stored.model.privileged,
            conditions=conditions(stored.scoring, stored.data.build_seed),
            unparsed_reasons=stored.unparsed_reasons,
            unread=examples(s.pred_text for s in stored.results if s.status == "unparsed"),
        )


def evaluate(
    data_json: str | Path,
    output_json: str | Path,
    model: str | Model,
    options: EvalOptions | None = None,
    *,
    workers: int | None = None,
    fresh: bool = False,
    world: World | None = None,
    **changes: Any,
) -> EvalResult:
    """Ask a model all questions of a task file, score the answers and write a results file.

    Answers are written to a journal. The same call continues a run that was killed or that left samples
    without an answer; only those are asked. Options that do not affect answers (``scoring``, ``mask``,
    ``batch_size``, ``workers``, a larger ``limit``, ``world``) may change between calls.

    Several processes that share a file system can evaluate together, each with its ``world``. Each process
    asks its share and writes its own journal; rank 0 waits for all, scores and writes the results.

    Args:
        data_json: a task file of ``x3 build``.
        output_json: the results file; replaced atomically at the end.
        model: ``KIND[:ARG]`` of ``models.registry``, or a model object, which is not closed.
        options: options of inference and scoring; None for the defaults.
        workers: threads for a concurrent model and for reading masks; None for one per CPU.
        fresh: discard an earlier output and journal; a file that is not a results file is not replaced.
        world: the rank of this process; None for a single process.
        **changes: fields of ``EvalOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``EvalOptions`` has no such field.
        UserError: an option or file is invalid, the model cannot answer the task, or the output was written
            with other settings.
        Unfinished: another rank failed or exited; existing answers are kept.
    """
    started = time.perf_counter()
    options = replace(options or EvalOptions(), **changes)
    data_json, output_json = Path(data_json), Path(output_json)
    image_folder, image_root = options.image_folder, options.image_root
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    stored = read_records(data_json)
    everything = ImagePaths(data_json, image_folder, image_root).records(stored)
    records = everything[: options.limit]
    for record in records:  # invalid ground truth is reported before the model is asked
        try:
            truth_of(record)
        except UserError as error:
            raise UserError(f"{data_json}: {error}") from None
    check_present(data_json, (record.images for record in records))
    given = isinstance(model, Model)
    chosen = model if isinstance(model, Model) else registry.create(model, for_model(options))
    with nullcontext() if given else closing(chosen):
        find_convention(chosen.convention)
        check_supported(chosen, records, data_json)
        data_sha256 = task_sha256(data_json)
        values = {
            "model": chosen.spec or chosen.name,
            "describe": json.loads(
                json.dumps(finite(chosen.describe()))
            ),  # the same types as after reading the journal
            "convention": chosen.convention,
            "data_sha256": data_sha256,
            "max_new_tokens": options.max_new_tokens,
            "seed": options.seed,
            "image_folder": None if image_folder is None else str(image_folder.absolute()),
        }
        settings = AnswerSettings(values, default_folder(data_json, stored))
        inference = Inference(
            chosen,
            tuple(records),
            options.batch_size,
            workers,
            world,
            options.stop_after_failures,
            f"{chosen.name}, {data_json.name}",
        )
        if world is not None and not world.leads:
            return _take_part(inference, output_json, settings, world)
        with nullcontext() if world is None else Coordinator(output_json, world) as coordinator:
            check_output(output_json, "--out", [data_json])
            check_replaceable(output_json)
            about = {
                "data": recorded_path(data_json),
                "name": chosen.name,
                "privileged": chosen.privileged,
                "scoring": options.scoring,
                "mask": options.mask,
                "limit": options.limit,
                "image_root": None if image_root is None else str(image_root.absolute()),
            }
            with open_store(output_json, settings, fresh=fresh, about=about) as store:
                _check_not_shrunk(store, records, everything, output_json, options.limit)
                if coordinator is not None:
                    coordinator.ready()
                done = inference.run(store)
                asked, left = done.asked, done.left
                if coordinator is not None:
                    for report in coordinator.wait():
                        asked, left = asked + report["asked"], left + report["left"]
                    store.merge_rank_journals()
                scored = score_run(
                    records,
                    store.replies,
                    convention=chosen.convention,
                    rule=check_scoring(options.scoring),
                    mask=check_mask_choice(options.mask),
                    workers=workers,
                )
                data = data_provenance(data_json, data_sha256)
                seconds = time.perf_counter() - started
                results = scored.complete(
                    settings=RunSettings(
                        **values,
                        limit=options.limit,
                        image_root=None if image_root is None else str(image_root.absolute()),
                    ),
                    versions=versions(),
                    model=ModelInfo(
                        name=chosen.name,
                        kind=chosen.spec and chosen.spec.partition(":")[0],
                        convention=chosen.convention,
                        privileged=chosen.privileged,
                        describe=values["describe"],
                    ),
                    data=data,
                    run=RunInfo(
                        seconds=round(seconds, 3),
                        samples_per_second=round(asked / seconds, 3),
                        asked=asked,
                        host=socket.gethostname(),
                        processes=1 if world is None else world.size,
                        workers=workers,
                        usable_cores=usable_cores(),
                        torch_threads=chosen.runtime().get("torch_threads"),
                        batch_size=options.batch_size,
                        date=datetime.now(UTC).isoformat(timespec="seconds"),
                    ),
                )
                write_results(output_json, results)
                store.remove_journal()
        rendezvous.clear(output_json)
    return EvalResult.of(
        scored,
        output_json=output_json,
        model=chosen.name,
        asked=asked,
        kept=len(records) - asked - left,
        privileged=chosen.privileged,
        build_seed=data.build_seed,
        stopped=done.stopped,
    )


def chance_of(
    data_json: Path, options: EvalOptions, workers: int | None = None
) -> dict[str, dict[str, float | None] | None]:
    """The chance baselines of a task file, for sets that no model was asked.

    Raises:
        UserError: the file is missing or malformed.
    """
    records = ImagePaths(data_json, options.image_folder, options.image_root).records(
        read_records(data_json)[: options.limit]
    )
    scored = score_run(
        records,
        {},
        convention="fraction",
        rule=check_scoring(options.scoring),
        mask=check_mask_choice(options.mask),
        workers=default_workers() if workers is None else workers,
    )
    return scored.chance


def _take_part(
    inference: Inference, output_json: Path, settings: AnswerSettings, world: World
) -> EvalResult:
    """Ask the share of this rank, and wait until rank 0 has written the results."""
    with Worker(output_json, world) as worker:
        worker.join()
        with open_share(output_json, world, settings) as store:
            done = inference.run(store, worker.check)
        worker.done({"asked": done.asked, "left": done.left})
    kept = inference.share - done.asked - done.left
    result = EvalResult.read(output_json, asked=done.asked, kept=kept)
    return replace(result, stopped=done.stopped)


def _check_not_shrunk(
    store: Store,
    records: Sequence[TaskRecord],
    everything: Sequence[TaskRecord],
    output_json: Path,
    limit: int | None,
) -> None:
    """Refuse a smaller limit that would drop existing answers.

    Raises:
        UserError: the results contain answers beyond ``limit``.
    """
    beyond = {record.id for record in everything[len(records) :]}
    lost = sum(reply.text is not None for id, reply in store.replies.items() if id in beyond)
    if lost:
        raise UserError(
            f"--limit {limit}: {output_json} holds {lost} more answers, which this would drop;"
            " use the earlier limit or more, write elsewhere, or use --fresh"
        )
