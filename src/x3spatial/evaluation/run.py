"""``x3 eval``: ask a model about every record of a task file and score what it says."""

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
    """What an evaluation or a re-scoring came to."""

    output_json: Path
    model: str
    metrics: dict[str, Value]
    ci95: dict[str, Interval | None]
    ci_unit: CiUnit | None
    chance: dict[str, dict[str, float | None] | None]
    by_mask_area: tuple[SizeRow, ...]
    """Visible samples by how much of the image their object covers."""
    asked: int
    """Samples asked by this call."""
    kept: int
    """Samples whose answer an earlier run had stored."""
    errors: int
    """Samples that stayed without an answer: the command exits 1 if there are any."""
    first_error: str | None
    problems: tuple[MaskProblem, ...]

    def table(self) -> Table:
        """The main metrics."""
        table = results_table(self.model, self.metrics, self.ci95, self.ci_unit)
        notes = [f"results: {self.output_json}"]
        if self.errors:
            notes.append(f"{self.errors} samples without an answer; first: {self.first_error}")
        return replace(table, notes=tuple(notes))

    def to_dataframe(self) -> pd.DataFrame:
        """A row per sample, read from the results file.

        Raises:
            UserError: the file is gone, or pandas is not installed.
        """
        return read_results(self.output_json).to_dataframe()

    @classmethod
    def of(
        cls, scored: ScoredRun, *, output_json: Path, model: str, asked: int, kept: int
    ) -> EvalResult:
        """The outcome of ``scored``."""
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
        )

    @classmethod
    def read(cls, output_json: Path, *, asked: int, kept: int) -> EvalResult:
        """The outcome that another process wrote.

        Raises:
            UserError: it is refused; the message names the file or option.
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
    """Answer and score the records of ``data_json``, and write ``output_json``.

    Answers are journalled as they come. A run that was killed, or that left samples without an answer, is
    continued by the same call: only what is missing is asked. What the answers do not depend on (``scoring``,
    ``mask``, ``batch_size``, ``workers``, a larger ``limit``, ``world``) may change between calls.

    Several processes that share the file system can do it together, each with its ``world``: each asks its
    share and keeps its own journal, rank 0 waits for all, scores and writes; the others return with it.

    Args:
        data_json: a task file of ``x3 build``.
        output_json: the results file; replaced in one step at the end.
        model: ``KIND[:ARG]`` of ``models.registry``, or a model object, which stays open.
        options: how to ask and to score; None for the defaults.
        workers: threads for a concurrent model and for reading masks; None for one per CPU.
        fresh: discard an earlier output and journal; a file that is no results file stays.
        world: this process among those that are called alike; None: it is alone.
        **changes: fields of ``EvalOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``EvalOptions`` has no such field.
        UserError: bad options or files, a model that cannot do the task, or an output made with
            other settings.
        Unfinished: another rank failed or is gone; what was answered is kept.
    """
    started = time.perf_counter()
    options = replace(options or EvalOptions(), **changes)
    data_json, output_json = Path(data_json), Path(output_json)
    image_folder = options.image_folder
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    everything = read_records(data_json)
    records = everything[: options.limit]
    for record in records:  # a file that cannot be scored is refused before a model is asked
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
            ),  # as it will be read back
            "convention": chosen.convention,
            "data_sha256": data_sha256,
            "max_new_tokens": options.max_new_tokens,
            "seed": options.seed,
            "image_folder": None if image_folder is None else str(image_folder.absolute()),
        }
        asking = _Asking(chosen, tuple(records), image_folder, options.batch_size, workers, world)
        if world is not None and not world.leads:
            return _take_part(asking, output_json, settings, world)
        with nullcontext() if world is None else Coordinator(output_json, world) as coordinator:
            check_output(output_json, "--out", [data_json])
            check_replaceable(output_json)
            with open_store(output_json, settings, fresh=fresh) as store:
                _check_not_shrunk(store, records, everything, output_json, options.limit)
                if coordinator is not None:
                    coordinator.ready()
                asked = asking.run(store)
                if coordinator is not None:
                    asked += sum(report["asked"] for report in coordinator.wait())
                    store.take_in_ranks()
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
    asking: _Asking, output_json: Path, settings: Mapping[str, Any], world: World
) -> EvalResult:
    """Ask this rank's share, and wait for rank 0 to write the results of all."""
    with Worker(output_json, world) as worker:
        worker.join()
        with open_share(output_json, world, settings) as store:
            asked = asking.run(store, worker.check)
        worker.done({"asked": asked})
    return EvalResult.read(output_json, asked=asked, kept=asking.share - asked)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What this process asks, and how."""

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
        """How many of the records are this process's."""
        return sum(map(self._is_mine, self.records))

    def run(self, store: Store, check: Callable[[], None] = lambda: None) -> int:
        """Ask what has no answer yet, or one given from other images; how many samples were asked.

        ``check`` is called between batches, and may raise to stop.
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
        # One bar is enough on a terminal that several processes share.
        shown = (
            nullcontext(_unseen)
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


def _unseen(n: int = 1) -> None:
    """An advance that nobody watches."""


def _state(chosen: Model, question: Question) -> str:
    try:
        return files_state(chosen.reads(question))
    except (OSError, ValueError):
        return ""  # a file is not there: the model will say which


def _check_not_shrunk(
    store: Store,
    records: Sequence[TaskRecord],
    everything: Sequence[TaskRecord],
    output_json: Path,
    limit: int | None,
) -> None:
    """A smaller limit would drop answers that were paid for."""
    beyond = {record.id for record in everything[len(records) :]}
    lost = sum(reply.text is not None for id, reply in store.replies.items() if id in beyond)
    if lost:
        raise UserError(
            f"--limit {limit}: {output_json} holds {lost} more answers, which this would drop;"
            " use the earlier limit or more, write elsewhere, or use --fresh"
        )
