"""The records of ``t1_negatives``: marked views paired with views of other folders, after the objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from x3spatial.builder.negatives import (
    Chosen,
    Negative,
    Reference,
    Viewpoint,
    choose_negatives,
    kinds_of,
)
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, probe, read_bytes
from x3spatial.roots.layout import ORIGINAL, ObjectFiles, RootListing
from x3spatial.roots.places import place_of
from x3spatial.roots.scene_file import SceneFile
from x3spatial.roots.scene_files import ScenesOfSplit
from x3spatial.roots.strata import strata_elsewhere, strata_of
from x3spatial.tasks.strata import Absence


@dataclass(frozen=True, slots=True)
class NegativeSet:
    """The negatives of a split."""

    records: tuple[TaskRecord, ...]
    counts: dict[str, Any]
    """``made`` and ``missing`` per kind of absence, and ``barely_visible`` pairs."""


def negatives_of_split(
    split: str,
    marked: Iterable[TaskRecord],
    positives: int,
    objects: Iterable[ObjectFiles],
    listing: RootListing,
    shares: Mapping[Absence, float],
    seed: int,
) -> NegativeSet:
    """Choose the negatives of a split and make their records.

    Args:
        split: the split's folder.
        marked: a record per marked view; its query view is replaced.
        positives: number of Task1 pairs of the split that show their object.
        objects: the files of all objects of the split.
        listing: the root, for places and ``scene.json`` files.
        shares: kind of absence → negatives per positive.
        seed: seed of the build.
    """
    references = {_reference(record): record for record in marked}
    files = {
        Viewpoint(item.key.scene, view.frame, item.key.uid, view.rank): view.files[ORIGINAL]
        for item in objects
        for view in item.views
        if ORIGINAL in view.files
    }
    names = {view.scene for view in files} | {reference.scene for reference in references}
    scenes = ScenesOfSplit(listing.scenes, split, names)
    chosen = choose_negatives(
        references,
        files,
        positives,
        scenes,
        {name: place_of(name, listing.places.get((split, name))) for name in names},
        shares,
        seed=seed,
        split=split,
    )
    records = list(_made(chosen, references, files, scenes))
    counts: dict[str, Any] = {
        "made": kinds_of(negative for negative, _ in records),
        "missing": {kind: count for kind, count in chosen.missing.items() if count},
        "barely_visible": chosen.barely_visible,
    }
    if len(records) < len(chosen.negatives):
        counts["unreadable"] = len(chosen.negatives) - len(records)
    return NegativeSet(tuple(record for _, record in records), counts)


def _reference(record: TaskRecord) -> Reference:
    assert record.scene and record.uid and record.ref_rank and record.ref_frame
    return Reference(record.scene, record.uid, record.ref_rank, record.ref_frame)


def _made(
    chosen: Chosen,
    references: Mapping[Reference, TaskRecord],
    files: Mapping[Viewpoint, Path],
    scenes: Mapping[str, SceneFile | None],
) -> Iterator[tuple[Negative, TaskRecord]]:
    for negative in chosen.negatives:
        view, reference = negative.view, negative.reference
        marked, path = references[reference], files[view]
        try:
            size = probe(read_bytes(path))
        except ImageError:
            continue  # the problem of the view's own object
        here = scenes[reference.scene]
        if reference.scene != view.scene:
            other = scenes[view.scene]
            strata = strata_elsewhere(here, reference.uid, reference.frame, other, view.frame)
        else:
            assert here is not None, "absences in a scene are verified by its scene.json"
            strata = strata_of(here, reference.uid, reference.frame, view.frame, None)
        where = f"B{view.scene}_uid{view.uid}_{view.rank}{view.frame}"
        yield (
            negative,
            replace(
                marked,
                id=f"{marked.id}_{where}",
                image=(marked.images[0], str(path)),
                query_original=str(path),
                query_rank=view.rank,
                query_frame=view.frame,
                query_mask=None,
                query_mask_kind=None,
                image_sizes=(marked.image_sizes[0], size),
                mask_area_fraction=None,
                absence=negative.absence,
                verified=negative.verified,
                strata=strata,
            ),
        )
