"""Export to a folder for ``datasets.load_from_disk``, with embedded images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from x3spatial.exporters.base import Format
from x3spatial.exporters.points import names_images
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.tables import (
    batches,
    require_datasets,
    row_features,
    table_rows,
)
from x3spatial.io.files import naming, replacing_dir, sha256_file
from x3spatial.io.opening import open_part, part_path

_FINGERPRINT_DIGITS = 16
"""The length of the fingerprints of ``datasets``."""


class HfDatasets(Format):
    """One row per record: images, mask, texts and provenance."""

    name = "hf-datasets"
    describes = "folders for datasets.load_from_disk, images and masks inside"
    paths = ("embed",)
    tags = False
    places_names = True
    with_mask = True

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

        features = row_features(datasets, named=names_images(self.point_format))
        arrow = path.with_name(f"{path.name}.arrow")
        table = part_path(arrow)
        try:
            schema = features.arrow_schema
            with (
                naming(path),
                open_part(arrow) as file,
                pyarrow.ipc.new_stream(file, schema) as stream,
            ):
                for batch in batches(table_rows(samples, self.point_format), schema):
                    stream.write_batch(batch)
            with _quiet(datasets), replacing_dir(path) as part:
                rows = datasets.Dataset(
                    datasets.table.MemoryMappedTable.from_file(str(table)),
                    # By default it depends on path and time of the file.
                    fingerprint=sha256_file(table)[:_FINGERPRINT_DIGITS],
                )
                # By default the writer creates no file for an empty set, which could not be opened.
                rows.save_to_disk(str(part), num_shards=None if len(rows) else 1)
        finally:
            table.unlink(missing_ok=True)


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
