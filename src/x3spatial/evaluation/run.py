"""``x3 eval``: ask a model all questions of a task file and score its answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
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
from x3spatial.evaluation.inference import ask
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
from x3spatial.evaluation.questions import check_supported, files_state, question_of
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.evaluation.stored import failures
from x3spatial.formats.results_file import (
    CiUnit,
    Interval,
    MaskProblem,
    ModelInfo,
    ResultsFile,
    RunInfo,
    RunSettings,
    SizeRow,
    Value,
    check_replaceable,
    read_results,
    write_results,
)
from x3spatial.formats.results_table import results_table
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.formats.typed_json import finite
from x3spatial.io.files import check_output, sha256_file
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.progress import progress
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.question import Question

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
    asked: int
    """Number of samples asked by this call."""
    kept: int
    """Number of samples with a stored answer of an earlier run."""
    errors: int
    """Number of samples without an answer; the command exits with code 1 if there are any."""
    first_error: str | None
    problems: tuple[MaskProblem, ...]
    stored: ResultsFile | None = None
    """The content of the results file, if none was written."""
    matched: Matched | None = None
    """How ids of answers that were made elsewhere matched the samples."""

    def table(self) -> Table:
        """The main metrics."""
        table = results_table(self.model, self.metrics, self.ci95, self.ci_unit)
        notes = [] if self.output_json is None else [f"results: {self.output_json}"]
        if self.errors:
            notes.append(f"{self.errors} samples without an answer; first: {self.first_error}")
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
    ) -> EvalResult:
        """The result of ``scored``."""
        failed = [f"{s.id}: {s.error}" for s in scored.scores if s.status == "error"]
        return cls(
            output_json=output_json,
            model=model,
            metrics=scored.metrics,
            ci95=scored.ci95,
            ci_unit=scored.ci_unit,
            chance=scored.chance,
            by_mask_area=scored.by_mask_area,
            asked=asked,
            kept=kept,
            errors=len(failed),
            first_error=failed[0] if failed else None,
            problems=scored.problems,
            stored=stored,
            matched=matched,
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
            asked=asked,
            kept=kept,
            errors=len(failed),
            first_error=failed[0] if failed else None,
            problems=stored.problems,
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
    image_folder = options.image_folder
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    everything = read_records(data_json)
    records = everything[: options.limit]
    for record in records:  # invalid ground truth is reported before the model is asked
        try:
            truth_of(record)
        except UserError as error:
            raise UserError(f"{data_json}: {error}") from None
    given = isinstance(model, Model)
    chosen = model if isinstance(model, Model) else registry.create(model, for_model(options))
    with nullcontext() if given else closing(chosen):
        find_convention(chosen.convention)
        check_supported(chosen, records, data_json)
        data_sha256 = sha256_file(data_json)
        settings = {
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
        inference = _Inference(
            chosen, tuple(records), image_folder, options.batch_size, workers, world
        )
        if world is not None and not world.leads:
            return _take_part(inference, output_json, settings, world)
        with nullcontext() if world is None else Coordinator(output_json, world) as coordinator:
            check_output(output_json, "--out", [data_json])
            check_replaceable(output_json)
            with open_store(output_json, settings, fresh=fresh) as store:
                _check_not_shrunk(store, records, everything, output_json, options.limit)
                if coordinator is not None:
                    coordinator.ready()
                asked = inference.run(store)
                if coordinator is not None:
                    asked += sum(report["asked"] for report in coordinator.wait())
                    store.merge_rank_journals()
                scored = score_run(
                    records,
                    store.replies,
                    convention=chosen.convention,
                    rule=check_scoring(options.scoring),
                    mask=check_mask_choice(options.mask),
                    image_folder=image_folder,
                    workers=workers,
                )
                seconds = time.perf_counter() - started
                results = scored.complete(
                    settings=RunSettings(**settings, limit=options.limit),
                    versions=versions(),
                    model=ModelInfo(
                        name=chosen.name,
                        kind=chosen.spec and chosen.spec.partition(":")[0],
                        convention=chosen.convention,
                        privileged=chosen.privileged,
                        describe=settings["describe"],
                    ),
                    data=data_provenance(data_json, data_sha256),
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
        kept=len(records) - asked,
    )


def _take_part(
    inference: _Inference, output_json: Path, settings: Mapping[str, Any], world: World
) -> EvalResult:
    """Ask the share of this rank, and wait until rank 0 has written the results."""
    with Worker(output_json, world) as worker:
        worker.join()
        with open_share(output_json, world, settings) as store:
            asked = inference.run(store, worker.check)
        worker.done({"asked": asked})
    return EvalResult.read(output_json, asked=asked, kept=inference.share - asked)


@dataclass(frozen=True, slots=True)
class _Inference:
    """Inference on this process's share of the records."""

    model: Model
    records: tuple[TaskRecord, ...]
    image_folder: Path | None
    batch_size: int
    workers: int
    world: World | None

    def _is_mine(self, record: TaskRecord) -> bool:
        return self.world is None or self.world.owns(record.id)

    @property
    def share(self) -> int:
        """The number of records in this process's share."""
        return sum(map(self._is_mine, self.records))

    def run(self, store: Store, check: Callable[[], None] = lambda: None) -> int:
        """Ask questions without an answer, or whose images have changed; returns the number of questions.

        ``check`` is called between batches and may raise to stop.
        """
        questions, states = [], {}
        for record in filter(self._is_mine, self.records):
            question = question_of(record, self.image_folder, privileged=self.model.privileged)
            state = _state(self.model, question)
            known = store.replies.get(record.id)
            if known is None or known.text is None or known.seen not in (None, state):
                questions.append(question)
                states[record.id] = state
        share = self.share
        # Only rank 0 shows a progress bar, because the processes share a terminal.
        shown = (
            nullcontext(_no_progress)
            if self.world is not None and self.world.rank
            else progress(self.model.name, share, done=share - len(questions))
        )
        with shown as advance:
            for replies in ask(
                self.model, questions, batch_size=self.batch_size, workers=self.workers
            ):
                store.add({id: replace(reply, seen=states[id]) for id, reply in replies.items()})
                advance(len(replies))
                check()
        return len(questions)


def _no_progress(n: int = 1) -> None:
    """No-op progress callback."""


def _state(chosen: Model, question: Question) -> str:
    try:
        return files_state(chosen.reads(question))
    except (OSError, ValueError):
        return ""  # a file is missing; the model raises an error that names it


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
