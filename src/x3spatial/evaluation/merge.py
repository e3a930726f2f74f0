"""Scores the answers of all shards of an evaluation, and writes the results of the whole task file."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

from x3spatial.engine.cores import usable_cores
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.errors import UserError
from x3spatial.evaluation.assess import score_run
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.options import check_mask_choice, check_scoring
from x3spatial.evaluation.provenance import data_provenance
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.shards import RESULTS, model_of, settings_of
from x3spatial.evaluation.stored import stored_replies
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.results_file import (
    RunInfo,
    check_replaceable,
    open_results,
    write_results,
)
from x3spatial.formats.task_file import read_records
from x3spatial.formats.task_source import data_sha256
from x3spatial.io.files import check_output


def merge(shards: ShardSet, workers: int) -> EvalResult:
    """Write the results of all samples.

    No model is opened: the answers are those of the shards.

    Raises:
        UserError: the task file changed, samples of a shard are missing, or the output cannot be written or
            is of another run.
    """
    facts = shards.identity
    settings, model = settings_of(facts), model_of(facts)
    data_json = Path(facts["data"])
    sha256 = data_sha256(data_json)
    if sha256 != settings.data_sha256:
        raise UserError(
            f"{data_json}: changed since the shards of {shards.out} were asked; restore it, or run all shards"
            " again with --fresh"
        )
    folder, root = (
        None if path is None else Path(path)
        for path in (settings.image_folder, facts["image_root"])
    )
    records = ImagePaths(data_json, folder, root).records(read_records(data_json))[: settings.limit]
    check_output(shards.out, "OUT", [data_json])
    check_replaceable(shards.out)
    replies: dict[str, Reply] = {}
    runs: list[RunInfo] = []
    for note in shards.notes:
        try:
            head, entries = open_results(note.folder / RESULTS)
            here = stored_replies(entries)
        except UserError as error:
            raise shards.refusal(note, str(error)) from None
        missing = [r.id for r in note.shard.of(records) if r.id not in here]
        if missing:
            raise shards.refusal(note, f"{note.folder / RESULTS} lacks {missing[0]}")
        replies |= here
        runs.append(head.run)
    scored = score_run(
        records,
        replies,
        convention=model.convention,
        rule=check_scoring(facts["scoring"]),
        mask=check_mask_choice(facts["mask"]),
        workers=workers,
    )
    data = data_provenance(data_json, sha256)
    seconds, asked = sum(run.seconds for run in runs), sum(run.asked for run in runs)
    head = scored.head(
        settings=settings,
        versions=dict(facts["versions"]),
        model=model,
        data=data,
        run=RunInfo(
            seconds=round(seconds, 3),
            samples_per_second=round(asked / seconds, 3) if seconds else 0.0,
            asked=asked,
            host=socket.gethostname(),
            engine=runs[0].engine,
            processes=shards.n,
            actors=None,
            workers=workers,
            usable_cores=usable_cores(),
            torch_threads=runs[0].torch_threads,
            batch_size=runs[0].batch_size,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
    write_results(shards.out, head, scored.entries())
    return EvalResult.of(
        scored,
        output_json=shards.out,
        model=model.name,
        asked=asked,
        kept=len(records) - asked,
        privileged=model.privileged,
        build_seed=data.build_seed,
    )
