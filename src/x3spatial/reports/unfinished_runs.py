"""The answers of an unfinished run so far, scored as ``x3 eval`` would."""

from __future__ import annotations

from pathlib import Path

from x3spatial.engine.local import default_workers
from x3spatial.errors import UserError
from x3spatial.evaluation.assess import score_run
from x3spatial.evaluation.options import check_mask_choice, check_scoring
from x3spatial.evaluation.provenance import data_provenance
from x3spatial.evaluation.stored import stored_replies
from x3spatial.evaluation.unfinished import Unfinished
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.results_file import ModelInfo, ResultsFile, RunInfo, RunSettings
from x3spatial.formats.task_file import iter_records
from x3spatial.formats.typed_json import Malformed, decode


def scored_so_far(
    run: Unfinished,
    data_json: Path,
    earlier: ResultsFile | None,
    image_folder: Path | None,
    image_root: Path | None,
) -> tuple[ResultsFile, int]:
    """The results on the samples that have an answer, and the number of samples that the run asks.

    Args:
        run: its answers.
        data_json: its task file.
        earlier: finished results that the run continues.
        image_folder: base folder for relative image paths; None: that of the run.
        image_root: where the data root is now; None: where it was for the run.

    Raises:
        UserError: the journal or the task file is damaged.
    """
    about = run.about
    limit = about.get("limit")
    try:
        settings: RunSettings = decode(RunSettings, {**run.settings, "limit": limit})
    except Malformed as error:
        raise UserError(f"{run.output_json}: damaged journal: {error}") from None
    replies = {} if earlier is None else stored_replies(earlier.results)
    replies |= run.replies
    folder = image_folder or _existing(settings.image_folder)
    root = image_root or _existing(about.get("image_root"))
    asked, answered = 0, []
    for record in iter_records(data_json):
        if limit is not None and asked >= limit:
            break
        asked += 1
        if record.id in replies:
            answered.append(record)
    records = ImagePaths(data_json, folder, root).records(answered)
    scored = score_run(
        records,
        replies,
        convention=settings.convention,
        rule=check_scoring(str(about.get("scoring", "x3"))),
        mask=check_mask_choice(str(about.get("mask", "auto"))),
        workers=default_workers(),
    )
    model = ModelInfo(
        name=str(about.get("name") or _name_of(settings.model)),
        kind=settings.model.partition(":")[0],
        convention=settings.convention,
        privileged=bool(about.get("privileged", False)),
        describe=settings.describe,
    )
    done = scored.complete(
        settings=settings,
        versions={},
        model=model,
        data=data_provenance(data_json, settings.data_sha256),
        run=RunInfo(
            seconds=0.0,
            samples_per_second=0.0,
            asked=len(run.replies),
            host="",
            workers=0,
            batch_size=None,
            date="",
        ),
    )
    return done, asked


def _existing(folder: object) -> Path | None:
    return Path(folder) if isinstance(folder, str) and Path(folder).is_dir() else None


def _name_of(spec: str) -> str:
    """A name for the model of ``--model``, whose journal does not record one."""
    _, _, argument = spec.partition(":")
    return argument.rstrip("/").rpartition("/")[2] or spec
