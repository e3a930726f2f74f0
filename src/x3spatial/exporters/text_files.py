"""Atomic writing of JSON lines in constant memory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from x3spatial.io.files import replacing
from x3spatial.io.opening import open_part


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON object per line; ``path`` appears when complete and is not changed on an error."""
    with replacing(path), io.TextIOWrapper(open_part(path), encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
