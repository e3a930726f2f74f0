"""Reading what ``x3 report`` wrote, as the page does."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"u8": "<u1", "u32": "<u4", "f32": "<f4"}


def parse(text: str) -> tuple[str, Any]:
    """(name, value) of a script ``x3data(name, value);``."""
    assert text.startswith("x3data(") and text.endswith(");\n"), text[:40]
    name, value = json.loads(f"[{text[len('x3data(') : -len(');') - 1]}]")
    return name, value


def data(report: Path, name: str) -> Any:
    """The value of ``data/{name}.js``."""
    found, value = parse((report / f"data/{name}.js").read_text("utf-8"))
    assert found == name
    return value


def unpacked(column: dict[str, str]) -> npt.NDArray[Any]:
    """The array of a ``{t, d}``."""
    return np.frombuffer(base64.b64decode(column["d"]), _TYPES[column["t"]])


def names(column: dict[str, Any]) -> list[str | None]:
    """The texts of a ``{names, codes}``."""
    codes = unpacked(column["codes"])
    return [None if code == 0xFFFFFFFF else column["names"][code] for code in codes]


def digests(folder: Path) -> dict[str, str]:
    """Name → hash of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
