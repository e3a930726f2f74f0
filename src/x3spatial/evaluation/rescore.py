"""``x3 score``: score stored answers again, without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.engine.local import default_workers
from x3spatial.errors import UserError
from x3spatial.evaluation.assess import score_run
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.options import (
    ScoreOptions,
    check_mask_choice,
    check_scoring,
    check_workers,
)
from x3spatial.evaluation.provenance import data_provenance, versions
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.stored import reply_of
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.results_file import check_replaceable, open_results, write_results
from x3spatial.formats.task_file import read_records
from x3spatial.formats.task_source import data_sha256
from x3spatial.io.files import check_output
from x3spatial.program.collector import collector_paused
from x3spatial.tasks.answers import says_not_visible
from x3spatial.texts import shortened


def score(
    results: str | Path,
    data_json: str | Path,
    output_json: str | Path | None = None,
    options: ScoreOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> EvalResult:
    """Score the answers in ``results`` again and write ``output_json`` (default: ``results`` itself).

    ``data_json`` may differ from the evaluated file, for example in paths after the data root was moved. It
    must contain every sample of ``results`` with the same ground truth; only those are scored.

    Args:
        results: a results file of ``x3 eval``.
        data_json: the task file, which contains the paths of the masks.
        output_json: the output file; None replaces ``results``.
        options: options of the scoring; None for the defaults. Without an ``image_folder`` or ``image_root``
            that of the run is used if it still exists.
        workers: threads for reading masks; None for one per CPU.
        **changes: fields of ``ScoreOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``ScoreOptions`` has no such field.
        UserError: an option or file is invalid, the task file does not match the results, or ``output_json``
            exists and is not a results file.
    """
    options = replace(options or ScoreOptions(), **changes)
    results, data_json = Path(results), Path(data_json)
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    stored, entries = open_results(results)
    replies: dict[str, Reply] = {}
    wanted: dict[str, str] = {}
    with collector_paused():
        for entry in entries:
            replies[entry.id] = reply_of(entry)
            wanted[entry.id] = entry.gt.text
    records = {record.id: record for record in read_records(data_json)}
    for id, answer in wanted.items():
        if id not in records:
            raise UserError(f"{data_json}: has no sample {id!r}, which {results} answers")
        if records[id].answer != answer:
            raise UserError(
                f"{data_json}: the right answer of {id!r} is {shortened(records[id].answer)}, but {results}"
                f" was asked with {shortened(answer)}; give the data that was asked"
            )
    target = results if output_json is None else Path(output_json)
    check_output(target, "--out", [data_json])
    check_replaceable(target)
    folders = {"image_folder": options.image_folder, "image_root": options.image_root}
    for name, folder in folders.items():
        of_run = getattr(stored.settings, name)
        if folder is None and of_run is not None and Path(of_run).is_dir():
            folders[name] = Path(of_run)
    asked = [record for id, record in records.items() if id in wanted]
    asked = ImagePaths(data_json, **folders).records(asked)
    check_present(
        data_json,
        ([r.query_mask] for r in asked if r.query_mask and not says_not_visible(r.answer)),
    )
    scored = score_run(
        asked,
        replies,
        convention=stored.model.convention,
        rule=check_scoring(options.scoring),
        mask=check_mask_choice(options.mask),
        workers=workers,
    )
    data = data_provenance(data_json, data_sha256(data_json))
    again = scored.head(
        settings=stored.settings,
        versions=versions(),
        model=stored.model,
        data=replace(
            data, build=stored.data.build, build_seed=stored.data.build_seed
        ),  # the build of the evaluated images
        run=stored.run,
    )
    write_results(target, again, scored.entries())
    return EvalResult.of(
        scored,
        output_json=target,
        model=stored.model.name,
        asked=0,
        kept=len(wanted),
        privileged=stored.model.privileged,
        build_seed=stored.data.build_seed,
    )
