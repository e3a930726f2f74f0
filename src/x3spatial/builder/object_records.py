"""The records of one object's samples."""

from __future__ import annotations

from dataclasses import replace

from x3spatial.builder.jobs import ObjectJob
from x3spatial.builder.object_images import ObjectImages
from x3spatial.formats.task_file import TaskRecord
from x3spatial.roots.layout import ORIGINAL
from x3spatial.roots.strata import strata_of
from x3spatial.tasks.samples import Draft, SideBySide, View
from x3spatial.tasks.strata import Strata


class ObjectRecords:
    """Makes the records of an object's drafts."""

    def __init__(self, job: ObjectJob, images: ObjectImages) -> None:
        self._job = job
        self._images = images
        self._strata: dict[tuple[str, str], Strata] = {}
        """Strata of pairs of frames, without the share of the mask."""

    def record(self, draft: Draft) -> TaskRecord:
        """The record of a draft; its images are written."""
        paths = [self._images.path(source) for source in draft.images]
        key = self._job.files.key
        reference, query = self._images.loaded(draft.reference), self._images.loaded(draft.query)
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
            label=self._job.files.label,
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
            strata=self._strata_of(reference.view, query.view, query.mask_area_fraction),
            place=self._job.place,
        )

    def _strata_of(self, a: View, b: View, mask_share: float) -> Strata | None:
        if self._job.scene is None:
            return None
        frames = a.frame, b.frame
        if frames not in self._strata:
            self._strata[frames] = strata_of(
                self._job.scene, self._job.files.key.uid, *frames, None
            )
        return replace(self._strata[frames], mask_share=mask_share)
