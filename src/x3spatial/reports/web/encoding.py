"""Values for the page: scripts that call ``x3data(name, value)``, and arrays in base64.

A page that was opened from disk may load scripts, but neither modules nor JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"u8": "<u1", "u32": "<u4", "f32": "<f4"}
_LARGEST = 1e30
"""Larger numbers are cut in ``f32`` arrays: answers may hold any number."""
_ESCAPES = {
    ord(char): f"\\u{ord(char):04x}"
    for char in "<>&\u2028\u2029"  # these end a script or a line of it; in JSON they only occur in strings
}


def json_text(value: Any) -> str:
    """``value`` as JSON that may stand in a script of any page, whatever its texts hold.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.translate(_ESCAPES)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)
    return text


def script(name: str, value: Any) -> bytes:
    """A script that hands ``value`` to the page."""
    return script_of(name, [json_text(value)])


def script_of(name: str, parts: Iterable[str]) -> bytes:
    """``script`` of a value whose JSON was made in parts."""
    return "".join(("x3data(", json_text(name), ",", *parts, ");\n")).encode()


def packed(kind: str, values: npt.NDArray[Any]) -> dict[str, str]:
    """An array as ``{t, d}``: its type (``u8``, ``u32``, ``f32``), and its bytes in base64, little-endian."""
    if kind == "f32":
        values = np.clip(values, -_LARGEST, _LARGEST)  # NaN stays
    data = np.ascontiguousarray(values, dtype=_TYPES[kind]).tobytes()
    return {"t": kind, "d": base64.b64encode(data).decode("ascii")}


class Names:
    """Texts as numbers: the distinct ones, and a code for each sample."""

    NONE = 0xFFFFFFFF
    """The code of no text."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self.codes: list[int] = []

    def add(self, name: str | None) -> None:
        """Append the code of ``name``."""
        self.codes.append(self.NONE if name is None else self.number(name))

    def number(self, name: str) -> int:
        """The code of ``name``, a new one if needed."""
        found = self._numbers.setdefault(name, len(self.names))
        if found == len(self.names):
            self.names.append(name)
        return found

    def packed(self) -> dict[str, Any]:
        """``{names, codes}``."""
        return {"names": self.names, "codes": packed("u32", np.array(self.codes, np.uint32))}
