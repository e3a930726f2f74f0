"""A folder that is a data set of the Hugging Face Hub: Parquet with images and masks, card, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.base import CardOptions, Format
from x3spatial.exporters.hub.card import card_text
from x3spatial.exporters.hub.croissant import croissant
from x3spatial.exporters.hub.leaderboard import leaderboard_text
from x3spatial.exporters.hub.sets import HubSet, Shard, set_of
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.tables import (
    batches,
    require_datasets,
    row_features,
    table_rows,
    write_shards,
)
from x3spatial.io.files import replacing_dir, sha256_file

CARD, METADATA, LEADERBOARD = "README.md", "croissant.json", "eval.yaml"


class HfBenchmark(Format):
    """A folder of Parquet files per task file, and beside them what the Hub reads.

    ``load_dataset(FOLDER, CONFIG)`` works on the folder as it is, and on the Hub with the data set's name.
    """

    name = "hf-benchmark"
    describes = "a data set of the Hugging Face Hub: images, masks, card, Croissant, eval.yaml"
    paths = ("embed",)
    tags = False
    with_mask = True
    has_card = True
    refuses_empty = True
    companion_names = (CARD, METADATA, LEADERBOARD)

    def __init__(self, point_format: str | None = None, card: CardOptions | None = None) -> None:
        super().__init__(point_format, card)
        self._sets: dict[str, HubSet] = {}

    def require(self) -> dict[str, str]:
        """See ``Format.require``."""
        return require_datasets(self.name)

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return stem

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        import datasets

        found = set_of(path.name)
        for other in self._sets.values():
            if other.name == found.name:
                raise UserError(
                    f"{path.name} and {other.folder}: both would be {found.config}, split"
                    f" {found.split}; rename one"
                )
        schema = row_features(datasets).arrow_schema
        with replacing_dir(path) as part:
            rows = table_rows(found.counted(iter(samples)), self.point_format)
            files = write_shards(part, found.split, batches(rows, schema), schema)
            found.shards = [
                Shard(f"{path.name}/{file.name}", file.stat().st_size, sha256_file(file))
                for file in files
            ]
        self._sets[path.name] = found

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``Format.companions``."""
        sets = list(self._sets.values())
        return {
            CARD: card_text(sets, self.card),
            METADATA: croissant(sets, self.card),
            LEADERBOARD: leaderboard_text(sets, self.card),
        }
