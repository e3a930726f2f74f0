"""Builds one object: read its views, draft its samples, write its images, return its records.

An object is the unit of parallel work and of resuming. Its result depends on its job only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from x3spatial.arrays import Bool
from x3spatial.builder.decoys import Decoy, find_decoy
from x3spatial.builder.jobs import ObjectJob, ObjectResult
from x3spatial.builder.not_made import is_asked_for
from x3spatial.builder.object_images import ObjectImages
from x3spatial.builder.object_records import ObjectRecords
from x3spatial.formats.image_paths import RelativePaths, with_paths
from x3spatial.io.images import ImageError, read_mask
from x3spatial.roots import findings
from x3spatial.roots.layout import INPAINTED, ORIGINAL
from x3spatial.roots.neighbours import masks_of_others, outlines_of_others
from x3spatial.roots.views import LoadedView, anchor_problem, load_views
from x3spatial.tasks.samples import (
    Draft,
    Marked,
    PairImage,
    SideBySide,
    Source,
    SpatialObject,
    pair_views,
)
from x3spatial.tasks.spec import TASKS, Views


def build_object(job: ObjectJob) -> ObjectResult:
    """Write the images of one object and return its records."""
    problems = list(job.files.problems)
    views = load_views(
        job.files,
        use_dilated=job.options.use_dilated_mask,
        seed=job.options.seed,
        problems=problems,
        use_inpainted=any(task.needs_inpainted for task in job.options.chosen),
    )
    while True:
        counts, drafts = _draft(job, views)
        sources = list(dict.fromkeys(s for draft in drafts for s in draft.images))
        bad = _first_undecodable(sources, views)
        if bad is None:
            without = _undecodable_inpainted(sources, views)
            if without is None:
                break
            loaded, reason = without
            path = loaded.files.files[INPAINTED]
            problems.append(findings.INPAINTED_DAMAGED.at(path, reason=reason))
            loaded.view = replace(loaded.view, has_inpainted=False)
            continue
        # Right checksums, but not a decodable image. This is rare: draft again without the view.
        view, reason = bad
        problems.append(findings.ORIGINAL_DAMAGED.at(view.files.files[ORIGINAL], reason=reason))
        views = [other for other in views if other is not view]
    if job.options.mode == "anchor" and any(task.views is Views.TWO for task in job.options.chosen):
        missing = anchor_problem(job.files, views, job.options.anchor_k)
        problems.extend([] if missing is None else [missing])
    holes: dict[int, Bool] = {}
    if job.options.decoys:
        drafts, holes, decoy_counts = _with_decoys(job, drafts, views)
        counts |= decoy_counts
    result = ObjectResult(job.files.key, job.fingerprint, problems=problems, counts=counts)
    images = ObjectImages(job, {id(loaded.view): loaded for loaded in views}, holes)
    records = ObjectRecords(job, images)
    relative = RelativePaths(job.out_dir, job.data_root)
    for draft in drafts:
        record = records.record(draft)
        # Marked views for pairs across objects stay absolute until they are paired.
        if job.options.paths == "relative" and not TASKS[draft.task].across_objects:
            record = with_paths(record, relative)
        result.records.setdefault(draft.task, []).append(record.to_json())
    result.images = images.written
    return result


def _draft(job: ObjectJob, views: list[LoadedView]) -> tuple[dict[str, int], list[Draft]]:
    item = SpatialObject(
        job.files.key.scene, job.files.key.uid, tuple(loaded.view for loaded in views)
    )
    pairs = pair_views(item, job.options.mode, job.options.anchor_k)
    counts = Counter(
        views=len(views),
        views_not_visible=sum(loaded.view.target is None for loaded in views),
        views_left_out=len(job.files.views) - len(views),
        pairs=len(pairs.pairs),
        pairs_with_empty_reference=pairs.empty_references,
    )
    drafts = [
        draft
        for task in job.options.chosen
        for draft in task.draft(item, pairs, job.templates[task.template])
    ]
    if any(task.needs_inpainted and is_asked_for(task) for task in job.options.chosen):
        counts["views_to_remove_from"] = sum(
            view.target is not None and view.has_inpainted for view in item.views
        )
    if any(task.across_objects for task in job.options.chosen):
        counts["positives"] = sum(query.target is not None for _, query in pairs.pairs)
    return dict(counts), drafts


def _with_decoys(
    job: ObjectJob, drafts: list[Draft], views: list[LoadedView]
) -> tuple[list[Draft], dict[int, Bool], dict[str, int]]:
    """Find the decoys of all views with pairs.

    Returns:
        The drafts without both pairs of views that have no decoy; the hole of each other view, by its id;
        the numbers of views in which no decoy fits, and in which none changes the image about as much as
        the removal.
    """
    wanted = {id(draft.query) for draft in drafts if isinstance(draft.images[0], PairImage)}
    others = masks_of_others(job.files) if wanted else {}
    decoys = {
        id(loaded.view): _decoy(job, loaded, others.get(loaded.view.frame, ()))
        for loaded in views
        if id(loaded.view) in wanted
    }
    holes = {
        key: decoy.hole for key, decoy in decoys.items() if decoy is not None and decoy.is_equal
    }
    kept = [
        draft
        for draft in drafts
        if not isinstance(draft.images[0], PairImage) or id(draft.query) in holes
    ]
    counts = {
        "views_without_room_for_a_decoy": sum(decoy is None for decoy in decoys.values()),
        "views_without_an_equal_decoy": sum(
            decoy is not None and not decoy.is_equal for decoy in decoys.values()
        ),
    }
    return kept, holes, counts


def _decoy(job: ObjectJob, loaded: LoadedView, others: Sequence[Path]) -> Decoy | None:
    view = loaded.view
    masks = []
    for path in others:
        with suppress(ImageError):  # reported with the object that it belongs to
            masks.append(read_mask(path))
    return find_decoy(
        loaded.pixels(),
        loaded.removed_pixels(),
        view.mask,
        job.seed(view, "decoy"),
        others=[mask for mask in masks if mask.shape == view.mask.shape],
        outlines=[]
        if job.scene is None
        else outlines_of_others(job.scene, job.files.key.uid, view.frame),
    )


def _first_undecodable(
    sources: list[Source], views: list[LoadedView]
) -> tuple[LoadedView, str] | None:
    needed: set[int] = set()
    for source in sources:
        if isinstance(source, Marked | PairImage):
            needed.add(id(source.view))
        elif isinstance(source, SideBySide):
            needed.update((id(source.reference), id(source.query)))
    for loaded in views:
        if id(loaded.view) in needed:
            try:
                loaded.pixels()
            except ImageError as error:
                return loaded, error.reason
    return None


def _undecodable_inpainted(
    sources: list[Source], views: list[LoadedView]
) -> tuple[LoadedView, str] | None:
    """The first view whose inpainted image is drawn anew but cannot be decoded, and the reason."""
    needed = {id(s.view) for s in sources if isinstance(s, PairImage) and s.role == "removed"}
    for loaded in views:
        if id(loaded.view) in needed:
            try:
                loaded.removed_pixels()
            except ImageError as error:
                return loaded, error.reason
    return None
