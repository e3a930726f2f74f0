"""Runs in an environment of mlcroissant: reads an export by its metadata alone.

usage: python croissant_peer.py EXPORT. Prints {set: [{field: value}]}, images as [width, height, set pixels].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rsplit("/", 1)[-1]: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if hasattr(value, "getbands"):  # an image
        return [*value.size, int(np.count_nonzero(np.asarray(value)))]
    return None if value is None or value != value else value


def main(export: Path) -> None:
    found = mlcroissant.Dataset(str(export / "croissant.json"))
    assert not found.metadata.ctx.issues.errors, found.metadata.ctx.issues.report()
    sets = {}
    for records in found.metadata.record_sets:
        sets[records.id] = [plain(row) for row in found.records(records.id)]
    print(json.dumps(sets))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
