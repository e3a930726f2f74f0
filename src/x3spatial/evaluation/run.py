"""``x3 eval``: ask a model all questions of a task file and score its answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from x3spatial.conventions.registry import find_convention
from x3spatial.engine.base import Engine
from x3spatial.engine.cores import usable_cores
from x3spatial.engine.local import default_workers
from x3spatial.engine.ranks import Meeting, meet
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.asker import Asker
from x3spatial.evaluation.asking import asking, check_engine
from x3spatial.evaluation.assess import ScoredRun, score_run
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.journal import Store, open_share, open_store
from x3spatial.evaluation.options import (
    EvalOptions,
    PoolOptions,
    check_mask_choice,
    check_scoring,
    check_workers,
)
from x3spatial.evaluation.provenance import data_provenance
from x3spatial.evaluation.questions import check_supported
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.evaluation.settings import AnswerSettings
from x3spatial.evaluation.shards import (
    merged_already,
    model_of,
    output_of,
    settings_of,
    shard_results,
)
from x3spatial.evaluation.share import Inference
from x3spatial.formats.image_paths import ImagePaths, check_present, default_folder
from x3spatial.formats.results_file import (
    RunInfo,
    check_replaceable,
    write_results,
)
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.formats.task_source import build_facts, recorded_path
from x3spatial.formats.task_source import data_sha256 as task_sha256
from x3spatial.formats.typed_json import finite
from x3spatial.io.files import check_output
from x3spatial.models.base import Model


def evaluate(
    data_json: str | Path,
    output_json: str | Path,
    model: str | Model | Asker,
    options: EvalOptions | None = None,
    *,
    workers: int | None = None,
    fresh: bool = False,
    world: World | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    pool: PoolOptions | None = None,
    shard: str | Shard | None = None,
    **changes: Any,
) -> EvalResult:
    """Ask a model all questions of a task file, score the answers and write a results file.

    Answers are written to a journal. The same call continues a run that was killed or that left samples
    without an answer; only those are asked. Options that do not affect answers (``scoring``, ``mask``,
    ``batch_size``, ``workers``, a larger ``limit``, ``world``, ``engine``) may change between calls.

    Several processes that share a file system can evaluate together, each with its ``world``. Each process
    asks its share and writes its own journal; rank 0 waits for all, scores and writes the results. They meet
    through ``torch.distributed`` at MASTER_ADDR and MASTER_PORT.

    With the engine ``ray`` this process hands batches to copies of the model on a Ray cluster.

    Args:
        data_json: a task file of ``x3 build``.
        output_json: the results file; replaced atomically at the end.
        model: ``KIND[:ARG]`` of ``models.registry``, or a model object, which is not closed. (An ``Asker``
            is a model that ``asking`` has opened.)
        options: options of inference and scoring; None for the defaults.
        workers: threads for a concurrent model and for reading masks; None for one per CPU.
        fresh: discard an earlier output and journal; a file that is not a results file is not replaced.
        world: the rank of this process; None for a single process.
        engine: where the model answers: ``local``, ``ray``, or an open engine.
        ray_address: the cluster to join, ``auto`` or ``HOST:PORT``; None to start Ray here.
        pool: copies of the model, for ``ray``.
        shard: ask only every Nth sample, ``K/N``, for ``x3spatial.merge``, which writes ``output_json``; None
            for all.
        **changes: fields of ``EvalOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``EvalOptions`` has no such field.
        UserError: an option or file is invalid, the model cannot answer the task, or the output was written
            with other settings.
        Unfinished: another rank failed or exited; existing answers are kept.
    """
    started = time.perf_counter()
    options = replace(options or EvalOptions(), **changes)
    part = parse_shard(shard)
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    with ExitStack() as stack:
        # First, so that an error of this process, in its model too, reaches the others.
        meeting = None if world is None else stack.enter_context(meet(world))
        samples = _Samples.read(Path(data_json), options)  # before a model or a cluster is started
        if not isinstance(model, Asker):
            opened = stack.enter_context(open_engine(engine, ray_address))
            check_engine(opened, pool, world)
            model = stack.enter_context(asking(model, options, opened, pool))
        run = _Run(
            samples, Path(output_json), model, options, workers, fresh, meeting, started, part
        )
        return run.evaluate()


@dataclass(frozen=True, slots=True)
class _Samples:
    """The records of a task file, whose ground truth and images were checked."""

    data_json: Path
    everything: Sequence[TaskRecord]
    records: Sequence[TaskRecord]
    """Those up to the limit."""
    default_folder: str | None

    @classmethod
    def read(cls, data_json: Path, options: EvalOptions) -> Self:
        """Read the task file; invalid ground truth is reported before a model is asked.

        Raises:
            UserError: the file is missing or malformed, or no image is where it says.
        """
        stored = read_records(data_json)
        paths = ImagePaths(data_json, options.image_folder, options.image_root)
        everything = paths.records(stored)
        records = everything[: options.limit]
        for record in records:
            try:
                truth_of(record)
            except UserError as error:
                raise UserError(f"{data_json}: {error}") from None
        check_present(data_json, (record.images for record in records))
        return cls(data_json, everything, records, default_folder(data_json, stored))


@dataclass(frozen=True, slots=True)
class _Run:
    """One evaluation, with an open model; see ``evaluate``."""

    samples: _Samples
    output_json: Path
    asker: Asker
    options: EvalOptions
    workers: int
    fresh: bool
    meeting: Meeting | None
    started: float
    """Of ``time.perf_counter``."""
    shard: Shard | None

    def evaluate(self) -> EvalResult:
        """Ask, score and write; on other ranks than 0, ask."""
        output_json, options = self.output_json, self.options
        data_json, records = self.samples.data_json, self.samples.records
        image_folder, image_root = options.image_folder, options.image_root
        whole, total = output_json, len(records)
        if self.shard is not None:
            records = self.shard.of(records)
            output_json = shard_results(self.shard, output_json)
        chosen, meeting = self.asker.model, self.meeting
        find_convention(chosen.convention)
        check_supported(chosen, records, data_json)
        data_sha256 = task_sha256(data_json)
        values = {
            "model": chosen.spec or chosen.name,
            "describe": json.loads(
                json.dumps(finite(self.asker.describe()))
            ),  # the same types as after reading the journal
            "convention": chosen.convention,
            "data_sha256": data_sha256,
            "max_new_tokens": options.max_new_tokens,
            "seed": options.seed,
            "image_folder": None if image_folder is None else str(image_folder.absolute()),
        }
        settings = AnswerSettings(values, self.samples.default_folder)
        inference = Inference(
            self.asker,
            tuple(records),
            options.batch_size,
            self.workers,
            None if meeting is None else meeting.world,
            options.stop_after_failures,
            f"{chosen.name}, {data_json.name}",
        )
        leads = meeting is None or meeting.world.leads
        if leads:
            check_output(whole, "--out", [data_json])
            check_replaceable(whole)
        if self.shard is not None and not self.fresh:
            stored = self._stored(settings) if leads else None
            if meeting is not None:
                stored = meeting.from_first(stored)
            if stored is not None:
                return stored
        if meeting is not None and not leads:
            return self._take_part(meeting, inference, settings, output_json)
        about = {
            "data": recorded_path(data_json),
            "name": chosen.name,
            "privileged": chosen.privileged,
            "scoring": options.scoring,
            "mask": options.mask,
            "limit": options.limit,
            "image_root": None if image_root is None else str(image_root.absolute()),
        }
        facts = {
            **about,
            "spec": chosen.spec,
            "samples": total,
            "answers": values,
            "versions": self.asker.versions(),
        }
        with (
            output_of(self.shard, whole, facts, fresh=self.fresh) as part,
            open_store(output_json, settings, fresh=self.fresh, about=about) as store,
        ):
            if part is None:
                _check_not_shrunk(
                    store, records, self.samples.everything, output_json, options.limit
                )
            if meeting is None:
                done = inference.run(store)
                asked, left = done.asked, done.left
            else:
                meeting.wait()  # the others read this journal now
                done = inference.run(store, meeting.check)
                ranks = meeting.gather((done.asked, done.left))
                asked, left = (sum(column) for column in zip(*ranks, strict=True))
                store.merge_rank_journals(meeting.world, [rank[0] for rank in ranks])
            scored = self._scored(records, store.replies)
            data = data_provenance(data_json, data_sha256)
            seconds = time.perf_counter() - self.started
            head = scored.head(
                settings=settings_of(facts),
                versions=self.asker.versions(),
                model=model_of(facts),
                data=data,
                run=RunInfo(
                    seconds=round(seconds, 3),
                    samples_per_second=round(asked / seconds, 3),
                    asked=asked,
                    host=socket.gethostname(),
                    engine=self.asker.engine,
                    processes=1 if meeting is None else meeting.world.size,
                    actors=self.asker.actors,
                    workers=self.workers,
                    usable_cores=usable_cores(),
                    torch_threads=self.asker.runtime().get("torch_threads"),
                    batch_size=options.batch_size,
                    date=datetime.now(UTC).isoformat(timespec="seconds"),
                ),
            )
            write_results(output_json, head, scored.entries())
            store.remove_journal()
            if part is not None and done.stopped is None:
                part.finish(len(records))
        result = EvalResult.of(
            scored,
            output_json=output_json,
            model=chosen.name,
            asked=asked,
            kept=len(records) - asked - left,
            privileged=chosen.privileged,
            build_seed=data.build_seed,
            stopped=done.stopped,
        )
        return result if meeting is None else meeting.from_first(result)

    def _scored(self, records: Sequence[TaskRecord], replies: Mapping[str, Reply]) -> ScoredRun:
        return score_run(
            records,
            replies,
            convention=self.asker.model.convention,
            rule=check_scoring(self.options.scoring),
            mask=check_mask_choice(self.options.mask),
            workers=self.workers,
        )

    def _stored(self, settings: AnswerSettings) -> EvalResult | None:
        """The result of an output of merged shards, which is not written again; None without one.

        Raises:
            UserError: it was written with other settings.
        """
        records = self.samples.records
        replies = merged_already(self.output_json, settings, records)
        if replies is None:
            return None
        return EvalResult.of(
            self._scored(records, replies),
            output_json=self.output_json,
            model=self.asker.model.name,
            asked=0,
            kept=len(records),
            privileged=self.asker.model.privileged,
            build_seed=build_facts(self.samples.data_json).seed,
        )

    def _take_part(
        self, meeting: Meeting, inference: Inference, settings: AnswerSettings, output_json: Path
    ) -> EvalResult:
        """Ask the share of this rank, and wait until rank 0 has written the results."""
        meeting.wait()
        with open_share(output_json, meeting.world, settings) as store:
            done = inference.run(store, meeting.check)
        meeting.gather((done.asked, done.left))
        result: EvalResult = meeting.from_first(None)
        kept = inference.share - done.asked - done.left
        return replace(result, asked=done.asked, kept=kept, stopped=done.stopped)


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
