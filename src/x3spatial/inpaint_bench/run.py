"""``x3 inpaint-bench``: fill what is known, compare with what is true, ask models, rank the engines."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from x3spatial import __version__
from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.evaluation.options import EvalOptions, check_workers, for_model
from x3spatial.inpaint_bench.answers import ask, build_records, write_engine_tasks
from x3spatial.inpaint_bench.measure import (
    REFERENCES,
    TRUE,
    MeasureJob,
    measure_object,
    sample_id,
)
from x3spatial.inpaint_bench.statistics import Sample, difference, estimate, unit_of
from x3spatial.inpaint_bench.summary import (
    MEASURES,
    BenchSummary,
    EngineRow,
    ModelRow,
    ranked,
    with_difference,
)
from x3spatial.inpainting import TIMEOUT
from x3spatial.inpainting import open_engine as open_inpainting
from x3spatial.io.files import make_dir, read_manifest, sha256_json, write_json
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_dir
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.progress import progress
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import ObjectKey, RootListing, list_object, list_root, outside_root
from x3spatial.roots.places import place_of
from x3spatial.roots.scene_file import SCENE_FILE

SUMMARY = "inpaint-bench.json"
_JOURNAL = ".x3-inpaint-bench.jsonl"
_ENGINES, _TASKS = "engines", "tasks"
_OUT, _INPAINT = "--out", "--inpaint"
_VERSION = 1
"""Changes when the same inputs would give other figures."""
_Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Subject:
    """An engine or a reference."""

    name: str
    describe: Mapping[str, Any]
    folder: Path


def bench_engines(
    data_root: str | Path,
    out_dir: str | Path,
    inpaint: Sequence[str] = ("telea", "patchmatch"),
    models: Sequence[str] = ("pixel-diff",),
    *,
    splits: Iterable[str] | None = None,
    limit: int | None = None,
    inpaint_timeout: float = TIMEOUT,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fresh: bool = False,
) -> BenchSummary:
    """Rank inpainting engines on a root whose inpainted images are the truth, as those of ``x3 scenes``.

    Each engine fills the dilated mask of every view that shows its object. Its image is compared with the
    true one, and models answer Task2B with it in place of the true one. ``out_dir`` keeps the images, the
    task files and results of every engine, and ``inpaint-bench.json``. The same call continues an interrupted
    run; more engines and models can be added.

    Args:
        data_root: the root; it is only read.
        out_dir: the folder to write.
        inpaint: the inpainting engines, ``KIND[:ARG]`` of ``inpainting.ENGINES``; at least one.
        models: ``KIND[:ARG]`` of ``models.registry`` that can answer Task2B; may be empty.
        splits: folder names of splits; None for all that exist.
        limit: at most this many objects of each split, the first in order.
        inpaint_timeout: seconds that a program of ``command:`` has for one image.
        workers: processes; None for one per usable CPU. Only CPU times depend on it.
        engine: what the filling runs on: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fresh: discard the output of earlier runs.

    Returns:
        One row per engine.

    Raises:
        UserError: an engine, model or option cannot be used, the root has no view with a true image, or
            ``out_dir`` holds other files or the bench of another root.
        UnitsFailed: an object met an error that is not one of its data; all others are done.
    """
    data_root, out_dir = Path(data_root), Path(out_dir)
    check_workers(workers)
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    listing = _limited(list_root(data_root, None if splits is None else list(splits)), limit)
    subjects = _subjects(inpaint, out_dir, inpaint_timeout)
    _check_models(models)
    outside_root(data_root, out_dir, _OUT)
    make_dir(out_dir, _OUT)
    settings = {"version": _VERSION, "data_root": str(data_root.resolve())}
    with lock_dir(out_dir, _OUT):
        journal = Journal(out_dir / _JOURNAL)
        _check_settings(out_dir, journal, settings, fresh=fresh)
        with open_engine(engine, ray_address) as opened:
            lines, made = _measure(
                listing, subjects, journal, settings, inpaint_timeout, opened, workers
            )
        summary = _summarise(
            listing, data_root, out_dir, subjects, lines, made, tuple(models), limit, workers
        )
        write_json(
            out_dir / SUMMARY,
            {**summary.to_json(), "version": __version__, "splits": list(listing.splits)},
        )
    return summary


def _limited(listing: RootListing, limit: int | None) -> RootListing:
    kept = [
        key
        for _, keys in groupby(listing.objects, key=lambda key: key.split)
        for key in list(keys)[:limit]
    ]
    return replace(listing, objects=tuple(kept))


def _subjects(engines: Sequence[str], out_dir: Path, timeout: float) -> list[_Subject]:
    """The engines, opened once to see that they can be, and the references.

    Raises:
        UserError: there is none, one is given twice, makes no images or cannot be opened.
    """
    if not engines:
        raise UserError(f"{_INPAINT}: name at least one engine")
    found: list[_Subject] = []
    for spec in engines:
        if spec in [subject.name for subject in found]:
            raise UserError(f"{_INPAINT} {spec}: given twice")
        opened = open_inpainting(spec, option=_INPAINT, timeout=timeout)
        if opened is None:
            raise UserError(f"{_INPAINT} {spec}: makes no images to compare")
        found.append(_Subject(spec, opened.describe(), out_dir / _ENGINES / _folder_name(spec)))
    for number, name in enumerate(REFERENCES):
        folder = out_dir / _ENGINES / f"reference-{number}"
        found.append(_Subject(name, {"kind": name}, folder))
    return found


def _folder_name(spec: str) -> str:
    """A folder's name for an engine; one that had to be changed gets a hash, so that all differ."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", spec).strip("._")[:40]
    digest = hashlib.sha256(spec.encode(errors="surrogateescape")).hexdigest()[:8]
    return name if name == spec else f"{name}-{digest}"


def _check_models(models: Sequence[str]) -> None:
    """Check the models' names, packages and tasks before any work.

    Raises:
        UserError: one is unknown, given twice, or cannot answer Task2B.
    """
    for number, spec in enumerate(models):
        if spec in models[:number]:
            raise UserError(f"--model {spec}: given twice")
        registry.own_options(spec)
        kind, _ = registry.split_spec(spec)
        if kind in registry.KINDS and registry.KINDS[kind].module.startswith("baselines."):
            model: Model = registry.create(spec, for_model(EvalOptions()))
            if not model.can_answer("t2b_multi"):
                raise UserError(f"--model {spec}: cannot answer Task2B; try pixel-diff")


def _check_settings(
    out_dir: Path, journal: Journal, settings: Mapping[str, Any], *, fresh: bool
) -> None:
    """Check that ``out_dir`` is empty or holds a bench of this root; with ``fresh``, empty it.

    Raises:
        UserError: it holds other files, or the bench of another root.
    """
    first = next((value for _, value in journal.entries()), None)
    ours = isinstance(first, dict) and "settings" in first
    others = sorted(path.name for path in out_dir.iterdir() if not path.name.startswith("."))
    if others and not ours:
        raise UserError(
            f"{_OUT} {out_dir}: holds other files ({others[0]}); choose an empty folder"
        )
    if ours and first is not None and first["settings"] != settings and not fresh:
        was = first["settings"].get("data_root")
        raise UserError(f"{_OUT} {out_dir}: holds the bench of {was}; add --fresh")
    if fresh:
        for name in (_ENGINES, _TASKS):
            if (out_dir / name).is_dir():
                shutil.rmtree(out_dir / name)
        journal.path.unlink(missing_ok=True)


def _measure(
    listing: RootListing,
    subjects: Sequence[_Subject],
    journal: Journal,
    settings: Mapping[str, Any],
    timeout: float,
    engine: Engine,
    workers: int | None,
) -> tuple[dict[tuple[str, ObjectKey], _Line], int]:
    """Fill and compare what no earlier run has: a line per engine and object, and the images made now."""
    known = {
        (line["engine"], ObjectKey(*line["key"])): line
        for _, line in journal.entries()
        if "engine" in line
    }
    found: dict[tuple[str, ObjectKey], _Line] = {}
    todo = []
    for key in listing.objects:
        files = list_object(key, listing.folder(key))
        stats = [
            [str(path), stat.st_size, stat.st_mtime_ns]
            for view in files.views
            for path in sorted(view.files.values())
            for stat in [path.stat()]
        ]
        for subject in subjects:
            fingerprint = sha256_json([_VERSION, subject.describe, stats])
            line = known.get((subject.name, key))
            if line is not None and line["fingerprint"] == fingerprint and _images_exist(line):
                found[subject.name, key] = line
            else:
                todo.append(
                    MeasureJob(files, subject.name, subject.folder, fingerprint, _INPAINT, timeout)
                )
    total = len(found) + len(todo)
    made = 0
    with (
        journal.open(),
        progress("inpainting", total, done=len(found)) as advance,
    ):
        if not known and next(journal.entries(), None) is None:
            journal.append({"settings": settings})
        for line in engine.map(
            measure_object,
            todo,
            workers=workers,
            name=lambda job: f"{job.engine} {'/'.join(job.files.key)}",
            folders=[listing.root, subjects[0].folder.parent.parent],
        ):
            journal.append(line)
            found[line["engine"], ObjectKey(*line["key"])] = line
            made += len(line["views"]) if line["engine"] not in REFERENCES else 0
            advance()
    return found, made


def _images_exist(line: _Line) -> bool:
    """Whether the images of a journal line are still there with their sizes."""
    try:
        return all(Path(v["image"]).stat().st_size == v["bytes"] for v in line["views"])
    except OSError:
        return False


def _summarise(
    listing: RootListing,
    data_root: Path,
    out_dir: Path,
    subjects: Sequence[_Subject],
    lines: Mapping[tuple[str, ObjectKey], _Line],
    made: int,
    models: tuple[str, ...],
    limit: int | None,
    workers: int | None,
) -> BenchSummary:
    samples: dict[str, Sample] = {}
    views: dict[str, dict[str, _Line]] = {subject.name: {} for subject in subjects}
    problems = list(listing.problems)
    for (engine, key), line in sorted(lines.items()):
        place = place_of(key.scene, listing.places.get((key.split, key.scene)))
        for view in line["views"]:
            name = sample_id(key, view["name"])
            samples[name] = Sample(place, key)
            views[engine][name] = view
        problems += [Problem(*problem) for problem in line["problems"]]
    if not views[TRUE]:
        raise UserError(
            f"ROOT {data_root}: no view has both a mask and an inpainted image, which is the truth here;"
            " x3 scenes renders such a root"
        )
    measured = [subject for subject in subjects if views[subject.name]]
    answers = _answers(measured, views, data_root, out_dir, listing.splits, models, limit, workers)
    rows = []
    for subject in measured:
        own = views[subject.name]
        rows.append(
            EngineRow(
                engine=subject.name,
                describe=subject.describe,
                views=len(own),
                objects=len({samples[name].key for name in own}),
                scenes=len({samples[name].place for name in own}),
                measures={
                    measure: estimate({n: v[measure] for n, v in own.items()}, samples)
                    for measure in MEASURES
                },
                models={
                    model: ModelRow(
                        results=found[subject.name]["results"],
                        metrics=found[subject.name]["metrics"],
                        ci95=found[subject.name]["ci95"],
                        errors=found[subject.name]["errors"],
                        difference=difference(
                            found[TRUE]["hits"], found[subject.name]["hits"], samples
                        ),
                    )
                    for model, found in answers.items()
                },
            )
        )
    ordered = ranked(rows)
    best = {n: v["mae"] for n, v in views[ordered[0].engine].items()}
    shown = [
        row
        if row.is_reference or row is ordered[0]
        else with_difference(
            row,
            difference(best, {n: v["mae"] for n, v in views[row.engine].items()}, samples),
        )
        for row in ordered
    ]
    true = views[TRUE].values()
    return BenchSummary(
        out_dir=out_dir,
        data_root=data_root,
        rows=tuple(shown),
        models=models,
        ci_unit=unit_of([samples[name] for name in views[TRUE]]),
        true_outside=sum(view["true_outside"] for view in true) / len(true),
        rendered=all(_is_rendered(data_root, *scene) for scene in _scenes(listing)),
        made=made,
        problems=tuple(sorted(set(problems))),
    )


def _answers(
    subjects: Sequence[_Subject],
    views: Mapping[str, Mapping[str, _Line]],
    data_root: Path,
    out_dir: Path,
    splits: tuple[str, ...],
    models: tuple[str, ...],
    limit: int | None,
    workers: int | None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Model → engine → what ``ask`` found; empty without models."""
    if not models:
        return {}
    records = build_records(data_root, out_dir / _TASKS, splits, limit, workers)
    tasks = {}
    for subject in subjects:
        images = {name: view["image"] for name, view in views[subject.name].items()}
        tasks[subject.name] = write_engine_tasks(subject.folder, records, images)
    names = {record.id: name for name, record in records.items()}
    return {model: ask(model, tasks, names, workers) for model in models}


def _scenes(listing: RootListing) -> set[tuple[str, str]]:
    return {(key.split, key.scene) for key in listing.objects}


def _is_rendered(root: Path, split: str, scene: str) -> bool:
    """Whether ``x3 scenes`` made a scene: its file names the ray tracer."""
    found = read_manifest(root / split / scene / SCENE_FILE) or {}
    settings = found.get("settings")
    return isinstance(settings, dict) and "tracer" in settings
