"""Reading and writing docs/figures/NAME.json."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figure_tools.quantities import Value, base_of

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURES = REPOSITORY / "docs" / "figures"
LANGUAGES = ("en", "zh")
Cell = str | Mapping[str, Any]
"""A text, the same in all languages; a text per language; or a value.

A value is ``{"of": KEY, "decimals": N, "unit": UNIT}``. The unit, which the header names, is one of the
value's kind; without it the value is printed in its base unit.
"""


class FigureError(Exception):
    """A figure file that is missing, or does not hold what is asked of it."""


def write_figures(
    name: str,
    *,
    made_by: str,
    values: Mapping[str, Value],
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    folder: Path = FIGURES,
) -> Path:
    """Write ``NAME.json``, replacing the earlier one.

    Args:
        name: of the file, without suffix.
        made_by: the command that was run.
        values: key to value.
        tables: name to ``{"columns": {"en": [...], "zh": [...]}, "rows": [[cell, ...], ...]}``.
        folder: where to.

    Raises:
        FigureError: a value is not finite, or a row names a value that there is not.
    """
    content: dict[str, Any] = {
        "made_by": made_by,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "values": {key: _plain(value) for key, value in values.items()},
        "tables": dict(tables or {}),
    }
    for key, value in values.items():
        if not math.isfinite(value.value):
            raise FigureError(f"{name}.{key}: {value.value} is no figure")
    for table in content["tables"]:
        for language in LANGUAGES:
            table_text(name, content, table, language)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    temporary = path.with_suffix(".json.part")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def read_figures(name: str, folder: Path = FIGURES) -> dict[str, Any]:
    """The content of ``NAME.json``.

    Raises:
        FigureError: there is no such file, or it lacks a field.
    """
    path = folder / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FigureError(f"docs/figures/{name}.json: no such file") from None
    for field in ("made_by", "date", "machine", "values"):
        if not content.get(field):
            raise FigureError(f"docs/figures/{name}.json: has no {field}")
    return dict(content)


def value_of(source: str, folder: Path = FIGURES) -> Value:
    """The value that a marker names.

    Args:
        source: ``NAME.KEY``; the key may hold dots.
        folder: of the figure files.

    Raises:
        FigureError: there is no such file or value.
    """
    name, _, key = source.partition(".")
    return _value(name, read_figures(name, folder), key)


def table_of(source: str, language: str, folder: Path = FIGURES) -> str:
    """The Markdown of the table that a marker names, in a language of `LANGUAGES`.

    Args:
        source: ``NAME.TABLE``, or ``NAME`` of a file with one table.
        language: of the page.
        folder: of the figure files.

    Raises:
        FigureError: there is no such file or table.
    """
    name, _, table = source.partition(".")
    content = read_figures(name, folder)
    if not table and len(content.get("tables", {})) == 1:
        (table,) = content["tables"]
    return table_text(name, content, table, language)


def table_text(name: str, content: Mapping[str, Any], table: str, language: str) -> str:
    """The Markdown of one table of a figure file.

    Raises:
        FigureError: the table, its header in that language, or a value is missing.
    """
    try:
        known = content["tables"][table]
    except KeyError:
        tables = ", ".join(content.get("tables", {})) or "none"
        raise FigureError(f"docs/figures/{name}.json: has no table {table}; has {tables}") from None
    columns = known["columns"].get(language)
    if columns is None:
        raise FigureError(f"{name}.{table}: has no header in {language}")
    lines = [list(columns), ["---"] * len(columns)]
    for row in known["rows"]:
        if len(row) != len(columns):
            raise FigureError(f"{name}.{table}: a row of {len(row)} cells, not {len(columns)}")
        lines.append([_cell_text(name, content, cell, language) for cell in row])
    head, rule, *rows = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, rule.replace(" ", ""), *rows])


def machine() -> str:
    """What ran here: processor, cores, memory, system, Python."""
    model = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE)
        model = found[1].strip() if found else model
    parts = [model, f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.append(f"{memory / 2**30:.0f} GiB")
    parts += [platform.system(), f"Python {platform.python_version()}"]
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f}")
    return ", ".join(parts)


def _plain(value: Value) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": value.value, "unit": value.unit}
    if value.low is not None:
        entry |= {"low": value.low, "high": value.high}
    return entry


def _value(name: str, content: Mapping[str, Any], key: str) -> Value:
    try:
        entry = content["values"][key]
    except KeyError:
        raise FigureError(f"docs/figures/{name}.json: has no value {key}") from None
    return Value(entry["value"], entry.get("unit", ""), entry.get("low"), entry.get("high"))


def _cell_text(name: str, content: Mapping[str, Any], cell: Cell, language: str) -> str:
    if isinstance(cell, str):
        return cell
    if "of" not in cell:
        if language not in cell:
            raise FigureError(f"docs/figures/{name}.json: {cell!r} has no text in {language}")
        return str(cell[language])
    known = _value(name, content, cell["of"])
    places = int(cell.get("decimals", 3))
    base, factor = base_of(cell["unit"]) if "unit" in cell else (known.unit, 1.0)
    if base != known.unit:
        raise FigureError(f"{name}.{cell['of']}: is in {known.unit}, not in {base}")
    text = f"{known.value / factor:,.{places}f}"
    if known.low is None or known.high is None:
        return text
    return f"{text} [{known.low / factor:.{places}f}, {known.high / factor:.{places}f}]"
