"""Folders in the form of RefSpatial-Bench: ``question.json``, ``image/`` and ``mask/``.

RoboRefer's evaluation reads ``RefSpatial-Bench/{task}/question.json``; the folder of a task file takes the
place of one of its tasks (Location, Placement, Unseen).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.exporters.base import Format
from x3spatial.exporters.image_paths import PlacedImage, content_name
from x3spatial.exporters.points import AS_RECORDED
from x3spatial.exporters.samples import Sample
from x3spatial.io.files import replacing_dir, write_bytes
from x3spatial.io.images import decode_mask, encode_mask_png
from x3spatial.io.json_stream import JsonArrayWriter

QUESTIONS = "question.json"
_IMAGES, _MASKS = "image", "mask"
_STEP = 1
"""The benchmark's number of reasoning steps, which our tasks do not grade."""


class RefSpatialBench(Format):
    """A folder per task file with one image, one mask and one question per sample.

    Two things of ours have no place in it. An object that is not visible: such samples are left out, because
    its rule would score every answer 0. A second image: samples of two images have a list in ``rgb_path``, at
    which RoboRefer's runner stops instead of showing one of them; its scoring reads them.
    """

    name = "refspatial-bench"
    describes = "question.json, images and masks in folders (RefSpatial-Bench)"
    paths = ("embed",)
    tags = False
    with_mask = True
    visible_only = True
    refuses_empty = True

    @classmethod
    def points(cls) -> tuple[str, ...]:
        """See ``Format.points``. The rule of the benchmark reads fractions of the image in brackets."""
        return (AS_RECORDED, "fraction")

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return stem

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        with replacing_dir(path) as part:
            for folder in (_IMAGES, _MASKS):
                (part / folder).mkdir()
            with JsonArrayWriter(part / QUESTIONS) as file:
                for sample in samples:
                    file.write(_question(sample, part))


def _question(sample: Sample, folder: Path) -> dict[str, Any]:
    """The entry of a sample, whose files are written to ``folder``."""
    record = sample.record
    if sample.query_mask is None:
        raise UserError(
            f"record {record.id}: has no 'query_mask', which --to refspatial-bench needs"
        )
    images = [_stored(folder, _IMAGES, *_embedded(image)) for image in sample.images]
    data, name = _embedded(sample.query_mask)
    if record.is_concat:
        data = encode_mask_png(_right_half(decode_mask(data)))
    # The runner asks f"{prompt} {suffix}"; our sections are separated by line breaks.
    prompt, _, suffix = sample.prompt.rpartition("\n")
    return {
        "id": record.id,
        "object": record.label or "object",
        "prompt": prompt or suffix,
        "suffix": suffix if prompt else "",
        "rgb_path": images[0] if len(images) == 1 else images,
        "mask_path": _stored(folder, _MASKS, data, name),
        "category": record.task,
        "step": _STEP,
    }


def _right_half(mask: Bool) -> Bool:
    """The mask ``[H, W]`` of the query half as ``[H, 2W]`` of the whole image."""
    return np.concatenate([np.zeros_like(mask), mask], axis=1)


def _embedded(image: PlacedImage) -> tuple[bytes, str]:
    assert image.embedded is not None  # paths = ("embed",)
    return image.embedded


def _stored(folder: Path, kind: str, data: bytes, name: str) -> str:
    """The path of a file in the folder, which is written once for all samples that share it."""
    path = folder / kind / content_name(data, name)
    if not path.exists():
        write_bytes(path, data)
    return f"{kind}/{path.name}"
