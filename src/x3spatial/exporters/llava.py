"""The LLaVA format, for VILA, RoboRefer, RoboPoint and Qwen's fine-tuning script."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from x3spatial.exporters.base import Format
from x3spatial.exporters.samples import Sample
from x3spatial.io.json_stream import JsonArrayWriter


class Llava(Format):
    """A JSON array with ``image`` and ``conversations``.

    There is no additional key ``images``, because VILA's loader reads both keys and would load each image
    twice.
    """

    name = "llava"
    describes = "JSON array with `image` and `conversations` (VILA, RoboRefer, Qwen fine-tuning)"

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return f"{stem}.json"

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        with JsonArrayWriter(path) as file:
            for sample in samples:
                paths = sample.image_paths
                file.write(
                    {
                        "id": sample.record.id,
                        "image": paths if len(paths) > 1 else paths[0],
                        "conversations": [
                            {"from": "human", "value": sample.prompt},
                            {"from": "gpt", "value": sample.answer},
                        ],
                    }
                )
