"""Export to a folder for ``datasets.load_from_disk``, with embedded images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from x3spatial.exporters.base import Format
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.tables import (
    batches,
    image_value,
    known_features,
    known_values,
    require_datasets,
)
from x3spatial.formats.record_fields import SOURCE
from x3spatial.io.files import empty_dir, naming, sha256_file
from x3spatial.io.opening import open_part, part_path

_FINGERPRINT_DIGITS = 16
"""The length of the fingerprints of ``datasets``."""


class HfDatasets(Format):
    """One row per record: images, texts and provenance."""

    name = "hf-datasets"
    describes = "folders for datasets.load_from_disk, images inside"
    paths = ("embed",)
    tags = False

    def require(self) -> dict[str, str]:
        """See ``Format.require``."""
        return require_datasets(self.name)

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return stem

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        import datasets
        import pyarrow

        text = datasets.Value("string")
        features = datasets.Features(
            {
                "id": text,
                "task": text,
                "images": datasets.List(datasets.Image()),
                "prompt": text,
                "answer": text,
                "question": text,
                "reference_point": datasets.List(datasets.Value("float64")),
                "mask_area_fraction": datasets.Value("float64"),
                **dict.fromkeys(SOURCE, text),
                **known_features(datasets),
            }
        )
        arrow = path.with_name(f"{path.name}.arrow")
        part, table = part_path(path), part_path(arrow)
        try:
            schema = features.arrow_schema
            with (
                naming(path),
                open_part(arrow) as file,
                pyarrow.ipc.new_stream(file, schema) as stream,
            ):
                for batch in batches(self._rows(samples), schema):
                    stream.write_batch(batch)
            empty_dir(part)
            with _quiet(datasets), naming(path):
                rows = datasets.Dataset(
                    datasets.table.MemoryMappedTable.from_file(str(table)),
                    # By default it depends on path and time of the file.
                    fingerprint=sha256_file(table)[:_FINGERPRINT_DIGITS],
                )
                # By default the writer creates no file for an empty set, which could not be opened.
                rows.save_to_disk(str(part), num_shards=None if len(rows) else 1)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(part, path)
        finally:
            table.unlink(missing_ok=True)
            shutil.rmtree(part, ignore_errors=True)

    def _rows(self, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
        for sample in samples:
            record = sample.record
            point = record.reference_point
            yield {
                "id": record.id,
                "task": record.task,
                "images": [image_value(image) for image in sample.images],
                "prompt": sample.prompt,
                "answer": sample.answer,
                "question": record.question,
                "reference_point": None if point is None else list(point),
                "mask_area_fraction": record.mask_area_fraction,
                **{name: getattr(record, name) for name in SOURCE},
                **known_values(record),
            }


class _quiet:
    """Switches the progress bars of ``datasets`` off within the block."""

    def __init__(self, datasets: Any) -> None:
        self._datasets = datasets
        self._shown = datasets.utils.are_progress_bars_disabled() is False

    def __enter__(self) -> None:
        self._datasets.utils.disable_progress_bars()

    def __exit__(self, *exc: object) -> None:
        if self._shown:
            self._datasets.utils.enable_progress_bars()
