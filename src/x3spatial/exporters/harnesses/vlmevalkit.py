"""Data for VLMEvalKit: TSV files, and a script that registers our data set class and starts its run."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from x3spatial.exporters.harnesses.base import QUESTIONS, HarnessFormat, code_text
from x3spatial.io.files import write_text

_CODE = "x3_vlmevalkit.py"
_COLUMNS = ("index", "id", "image_path", "question", "answer", "scene", "label")


class VlmEvalKit(HarnessFormat):
    """VLMEvalKit is no package of an index: the script runs inside of its checkout.

    The TSV file serves ``--mode infer`` without our class. It is written with absolute paths only, because
    VLMEvalKit looks for relative ones in a folder of its own, and not where images have names, which its own
    class would not show.
    """

    name = "vlmevalkit"
    describes = "TSV files and x3_vlmevalkit.py, which runs VLMEvalKit on them"
    companion_names = (_CODE,)

    def complete(self, folder: Path, path: Path, settings: Mapping[str, Any]) -> None:
        """See ``HarnessFormat.complete``."""
        with open(folder / QUESTIONS, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        if not all(os.path.isabs(name) for row in rows for name in row["images"]):  # noqa: PTH117
            return
        if any("image_names" in row for row in rows):
            return
        # VLMEvalKit takes a data set for multiple choice unless its name ends like this.
        write_text(folder / f"{settings['task']}_openended.tsv", _tsv(rows))

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``Format.companions``."""
        return {_CODE: code_text(_CODE)}


def _tsv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(_COLUMNS)
    for index, row in enumerate(rows):
        cells = {
            **row,
            "index": index,
            "image_path": json.dumps(row["images"]),
            "question": row["prompt"],
        }
        table.writerow([cells[name] for name in _COLUMNS])
    return text.getvalue()
