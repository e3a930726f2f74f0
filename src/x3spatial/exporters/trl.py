"""Parquet for TRL's SFTTrainer: conversational prompts and completions, and a column of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from x3spatial.conventions.base import message_parts
from x3spatial.exporters.base import Format
from x3spatial.exporters.points import names_images
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.tables import (
    batches,
    common_features,
    common_values,
    require_datasets,
)
from x3spatial.io.files import replacing
from x3spatial.io.opening import open_part


class Trl(Format):
    """Parquet with ``images``, ``prompt`` and ``completion``, without image tags, which TRL adds itself.

    Where the convention names images, the prompt is a list of parts instead of a text: each image after its
    name, then the text. TRL fills in the images in their order.

    ``absolute`` stores paths, which are opened when a row is read; ``embed`` stores the bytes. Relative paths
    are not supported, because they would depend on the working directory of the trainer.
    """

    name = "trl"
    describes = "Parquet with `images`, `prompt`, `completion` and masks (TRL)"
    paths = ("absolute", "embed")
    tags = False
    places_names = True
    with_mask = True

    def require(self) -> dict[str, str]:
        """See ``Format.require``."""
        return require_datasets(self.name)

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return f"{stem}.parquet"

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        import datasets
        from pyarrow import parquet

        text = datasets.Value("string")
        turns = datasets.List({"role": text, "content": text})
        parts = datasets.List(
            {"role": text, "content": datasets.List({"type": text, "text": text})}
        )
        schema = datasets.Features(
            {
                **common_features(datasets),
                "prompt": parts if self._named else turns,
                "completion": turns,
            }
        ).arrow_schema
        with (
            replacing(path),
            open_part(path) as file,
            parquet.ParquetWriter(file, schema) as table,
        ):
            for batch in batches(self._rows(samples), schema):
                table.write_batch(batch)

    @property
    def _named(self) -> bool:
        return names_images(self.point_format)

    def _rows(self, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
        for sample in samples:
            images = [{"type": "image", "text": None}] * len(sample.images)
            content = message_parts(images, sample.prompt, sample.names)
            yield {
                **common_values(sample, self.point_format),
                "prompt": [{"role": "user", "content": content if self._named else sample.prompt}],
                "completion": [{"role": "assistant", "content": sample.answer}],
            }
