"""The ShareGPT format of LLaMA-Factory, with the ``dataset_info.json`` that registers the data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from x3spatial.exporters.base import Format
from x3spatial.exporters.samples import Sample
from x3spatial.io.json_stream import JsonArrayWriter


class ShareGpt(Format):
    """A JSON array with ``conversations`` and ``images``, always a list."""

    name = "sharegpt"
    describes = (
        "JSON array with `conversations` and `images`, and dataset_info.json (LLaMA-Factory)"
    )
    companion_names = ("dataset_info.json",)

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return f"{stem}.json"

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        with JsonArrayWriter(path) as file:
            for sample in samples:
                file.write(
                    {
                        "id": sample.record.id,
                        "conversations": [
                            {"from": "human", "value": sample.prompt},
                            {"from": "gpt", "value": sample.answer},
                        ],
                        "images": sample.image_paths,
                    }
                )

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``Format.companions``."""
        columns = {"messages": "conversations", "images": "images"}
        return {
            "dataset_info.json": {
                stem: {"file_name": name, "formatting": "sharegpt", "columns": columns}
                for stem, name in outputs.items()
            }
        }
