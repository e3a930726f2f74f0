"""Builds one object: read its views, draft its samples, write its images, return its records.

An object is the unit of parallel work and of resuming. Its result depends on its job only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from x3spatial.arrays import Bool, UInt8
from x3spatial.builder.decoys import Decoy, find_decoy
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.pair_images import recolour
from x3spatial.builder.render import crop_reference, mark, side_by_side
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import CONCAT, MARKED, PAIRS, RelativePaths, with_paths
from x3spatial.formats.task_file import TaskRecord
from x3spatial.inpainting import InpaintingError, inpaint
from x3spatial.io.files import write_bytes
from x3spatial.io.images import ImageError, encode_jpeg, encode_png, read_mask
from x3spatial.roots import findings
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import INPAINTED, ORIGINAL, ObjectFiles, ObjectKey
from x3spatial.roots.neighbours import masks_of_others, outlines_of_others
from x3spatial.roots.scene_file import SceneFile
from x3spatial.roots.strata import strata_of
from x3spatial.roots.views import LoadedView, anchor_problem, load_views
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import (
    Draft,
    Inpainted,
    Marked,
    Original,
    PairImage,
    SideBySide,
    Source,
    SpatialObject,
    View,
    pair_views,
)
from x3spatial.tasks.spec import TASKS, Views
from x3spatial.tasks.strata import Strata


@dataclass(frozen=True, slots=True)
class ObjectJob:
    """The input of ``build_object``; picklable."""

    files: ObjectFiles
    out_dir: Path
    options: BuildOptions
    templates: dict[str, Template]
    fingerprint: str
    """Hash of the inputs and of every parameter that decides the result."""
    data_root: Path
    """The folder of the splits."""
    place: str | None = None
    """The place that the scene's ``scene.json`` declares."""
    scene: SceneFile | None = None
    """What the scene's ``scene.json`` knows."""


@dataclass(slots=True)
class ObjectResult:
    """The result for one object; survives a round trip through JSON unchanged."""

    key: ObjectKey
    fingerprint: str
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Task name → records, in order."""
    images: dict[str, int] = field(default_factory=dict)
    """Path of every image written, relative to the output folder → its size in bytes."""
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a journal line."""
        return {
            "key": list(self.key),
            "fingerprint": self.fingerprint,
            "records": self.records,
            "images": self.images,
            "problems": [list(problem) for problem in self.problems],
            "counts": self.counts,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ObjectResult:
        """Create a result from a journal line."""
        return cls(
            key=ObjectKey(*value["key"]),
            fingerprint=value["fingerprint"],
            records=value["records"],
            images=value["images"],
            problems=[Problem(*problem) for problem in value["problems"]],
            counts=value["counts"],
        )


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
    writer = _ImageWriter(job, {id(loaded.view): loaded for loaded in views}, holes)
    relative = RelativePaths(job.out_dir, job.data_root)
    for draft in drafts:
        paths = [writer.path(source) for source in draft.images]
        record = _record(job, draft, paths, writer)
        # Marked views for pairs across objects stay absolute until they are paired.
        if job.options.paths == "relative" and not TASKS[draft.task].across_objects:
            record = with_paths(record, relative)
        result.records.setdefault(draft.task, []).append(record.to_json())
    result.images = writer.written
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
    if any(task.across_objects for task in job.options.chosen):
        counts["positives"] = sum(query.target is not None for _, query in pairs.pairs)
    return dict(counts), drafts


def _with_decoys(
    job: ObjectJob, drafts: list[Draft], views: list[LoadedView]
) -> tuple[list[Draft], dict[int, Bool], dict[str, int]]:
    """Find the decoys of all views with pairs.

    Returns:
        The drafts without both pairs of views in which no decoy fits; the hole of each view, by its id; the
        numbers of views without a decoy, and with one that changes the image less than half or more than
        twice as much as the removal.
    """
    wanted = {id(draft.query) for draft in drafts if isinstance(draft.images[0], PairImage)}
    others = masks_of_others(job.files) if wanted else {}
    decoys = {
        id(loaded.view): _decoy(job, loaded, others.get(loaded.view.frame, ()))
        for loaded in views
        if id(loaded.view) in wanted
    }
    holes = {key: decoy.hole for key, decoy in decoys.items() if decoy is not None}
    kept = [
        draft
        for draft in drafts
        if not isinstance(draft.images[0], PairImage) or id(draft.query) in holes
    ]
    counts = {
        "views_without_room_for_a_decoy": len(decoys) - len(holes),
        "views_with_an_unequal_decoy": sum(
            decoy is not None and not 0.5 <= decoy.ratio <= 2 for decoy in decoys.values()
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
        _seed(job, view, "decoy"),
        others=[mask for mask in masks if mask.shape == view.mask.shape],
        outlines=[]
        if job.scene is None
        else outlines_of_others(job.scene, job.files.key.uid, view.frame),
    )


def _seed(job: ObjectJob, view: View, purpose: str) -> int:
    key = job.files.key
    return sample_seed(job.options.seed, key.split, key.scene, key.uid, view.name, purpose)


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


class _ImageWriter:
    """Maps image sources to paths; renders and writes each image that is not in the data root once."""

    def __init__(
        self, job: ObjectJob, views: dict[int, LoadedView], decoys: dict[int, Bool]
    ) -> None:
        self._job = job
        self._views = views
        self._decoys = decoys
        self._paths: dict[Source, str] = {}
        self.written: dict[str, int] = {}

    def loaded(self, view: View) -> LoadedView:
        return self._views[id(view)]

    def path(self, source: Source) -> str:
        if source not in self._paths:
            self._paths[source] = self._make(source)
        return self._paths[source]

    def _make(self, source: Source) -> str:
        match source:
            case Original(view):
                return str(self.loaded(view).files.files["original"])
            case Inpainted(view):
                return str(self.loaded(view).files.files["inpainted"])
            case Marked(view):
                image = mark(self.loaded(view).pixels(), view.mask, self._job.options.alpha)
                times = self._job.options.crop_reference
                if times is not None:
                    image = crop_reference(image, view.mask, times, self._crop_seed(view))
                name = f"{view.rank}_{view.frame}_marked.png"
                return self._write(MARKED, name, encode_png(image))
            case SideBySide(reference, query):
                image = side_by_side(self.loaded(reference).pixels(), self.loaded(query).pixels())
                name = f"{reference.name}_to_{query.name}_concat.jpg"
                data = encode_jpeg(image, self._job.options.jpeg_quality)
                return self._write(CONCAT, name, data)
            case PairImage(view, role):
                name = f"{view.rank}_{view.frame}_{role}.jpg"
                data = encode_jpeg(self._of_pair(view, role), self._job.options.jpeg_quality)
                return self._write(PAIRS, name, data)

    def _of_pair(self, view: View, role: str) -> UInt8:
        """An image of a pair that may be unchanged; both second images are recoloured alike."""
        loaded = self.loaded(view)
        if role == "before":
            return loaded.pixels()
        image = loaded.removed_pixels() if role == "removed" else loaded.pixels()
        if role == "same" and id(view) in self._decoys:
            image = self._fill(image, self._decoys[id(view)])
        return recolour(image, _seed(self._job, view, "recolour"))

    def _fill(self, image: UInt8, hole: Bool) -> UInt8:
        engine = self._job.options.decoy_engine
        try:
            return inpaint(image, hole, engine)
        except InpaintingError as error:
            raise UserError(f"--decoy-engine {engine}: {error.reason}") from None

    def _crop_seed(self, view: View) -> int:
        # "closeup" is the option's first name. It decides which crops are drawn, so it must not change.
        return _seed(self._job, view, "closeup")

    def _write(self, kind: str, name: str, data: bytes) -> str:
        key = self._job.files.key
        relative = f"{kind}/{key}/{name}"
        path = self._job.out_dir / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        self.written[relative] = len(data)
        return str(path)


def _strata(job: ObjectJob, a: View, b: View, mask_share: float) -> Strata | None:
    if job.scene is None:
        return None
    return strata_of(job.scene, job.files.key.uid, a.frame, b.frame, mask_share)


def _record(job: ObjectJob, draft: Draft, paths: list[str], writer: _ImageWriter) -> TaskRecord:
    key = job.files.key
    reference, query = writer.loaded(draft.reference), writer.loaded(draft.query)
    is_concat = isinstance(draft.images[0], SideBySide)
    query_original = str(query.files.files[ORIGINAL])
    width, height = draft.reference.size
    if is_concat:
        sizes: tuple[tuple[int, int], ...] = ((2 * width, height),)
    elif len(paths) == 1:
        sizes = (draft.query.size,)
    else:
        sizes = (draft.reference.size, draft.query.size)
        query_original = paths[-1]
    return TaskRecord(
        id=draft.id,
        task=draft.task,
        image=paths[0] if is_concat else tuple(paths),
        query_original=query_original,
        prompt=draft.prompt,
        answer=draft.answer,
        question=draft.question,
        reference_point=draft.reference_point,
        split=key.split,
        scene=key.scene,
        uid=key.uid,
        label=job.files.label,
        ref_rank=reference.view.rank,
        ref_frame=reference.view.frame,
        query_rank=query.view.rank,
        query_frame=query.view.frame,
        ref_original=str(reference.files.files[ORIGINAL]),
        ref_mask=str(reference.mask_path),
        query_mask=str(query.mask_path),
        query_mask_kind=query.mask_kind,
        image_sizes=sizes,
        mask_area_fraction=query.mask_area_fraction,
        twin=draft.twin,
        strata=_strata(job, reference.view, query.view, query.mask_area_fraction),
        place=job.place,
    )
