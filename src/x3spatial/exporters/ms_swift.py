"""JSON lines for ms-swift, with points as ``objects``, which ms-swift scales for each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from x3spatial.exporters.base import Format
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.text_files import write_json_lines


class MsSwift(Format):
    """JSON lines with ``messages``, ``images`` and ``objects``; a box of two numbers is a point."""

    name = "ms-swift"
    describes = "JSON lines with `messages`, `images` and `objects` (ms-swift)"
    placeholders = True

    def output_name(self, stem: str) -> str:
        """See ``Format.output_name``."""
        return f"{stem}.jsonl"

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        """See ``Format.write``."""
        write_json_lines(path, self._rows(samples))

    def _rows(self, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
        for sample in samples:
            row: dict[str, Any] = {
                "messages": [
                    {"role": "user", "content": sample.prompt},
                    {"role": "assistant", "content": sample.answer},
                ],
                "images": sample.image_paths,
            }
            if sample.boxes is not None:
                # Every row contains all lists, so that columns have the same type in the whole file.
                row["objects"] = {
                    "ref": [],
                    "bbox": [[box.x, box.y] for box in sample.boxes],
                    "bbox_type": "real",
                    "image_id": [box.image for box in sample.boxes],
                }
            yield row
