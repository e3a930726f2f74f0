"""Tables of results as Markdown, LaTeX, CSV and JSON. Names are escaped for each."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.io.files import check_output, write_text
from x3spatial.reports.figures import (
    MINUS,
    Metric,
)
from x3spatial.reports.table import MARKS, Cell, ResultsTable, Row
from x3spatial.texts import printable

SETS_AS = ("rows", "columns")
"""Sets as blocks of rows, or each set with each metric as a column."""
_CSV_HEAD = "set,split,run,kind,metric,value,"


def markdown(table: ResultsTable, sets_as: str = "rows") -> str:
    """Tables for Markdown: one per set, or one with the sets as columns."""
    parts: list[str] = []
    for block in _blocks(table, sets_as):
        if block.title:
            parts.append(f"**{_markdown(block.title)}**\n")
        heads = ["", *map(_markdown, block.heads)]
        lines = [heads, [":--", *("--:" for _ in block.heads)]]
        for row in block.rows:
            cells = [_cell(table, metric, cell, _in_markdown) for metric, cell in row.cells]
            lines.append([_markdown(row.name), *cells])
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    parts += [f"{_markdown(note)}\n" for note in table.notes()]
    return f"<!-- {_SIGN} -->\n\n" + "\n".join(parts)


def latex(table: ResultsTable, sets_as: str = "rows") -> str:
    """One ``tabular`` for LaTeX with the package booktabs."""
    blocks = _blocks(table, sets_as, one=True)
    metrics = blocks[0].heads if blocks else []
    columns = len(metrics)
    lines = [f"% {_SIGN}. Needs \\usepackage{{booktabs}}."]
    lines += [f"% {_one_line(note)}" for note in table.notes()]
    lines += [f"\\begin{{tabular}}{{l{'r' * columns}}}", "\\toprule"]
    if sets_as == "columns":
        lines += _spans(table)
        heads = [metric.head for _, metric in _columns(table)]
    else:
        heads = list(metrics)
    lines.append(" & ".join(["", *map(_latex, heads)]) + " \\\\")
    for block in blocks:
        lines.append("\\midrule")
        if block.title:
            lines += [
                f"\\multicolumn{{{columns + 1}}}{{l}}{{\\emph{{{_latex(block.title)}}}}} \\\\"
            ]
        before: Row | None = None
        for row in block.rows:
            if before is not None and row.row.kind == "chance" != before.kind:
                lines.append("\\addlinespace")
            before = row.row
            cells = [_cell(table, metric, cell, _in_latex) for metric, cell in row.cells]
            lines.append(" & ".join([_latex(row.name), *cells]) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def as_csv(table: ResultsTable, sets_as: str = "rows") -> str:
    """One line per run, set and metric, with all digits, quoted as RFC 4180 has it."""
    out = io.StringIO()
    records = table.records()
    names = list(records[0]) if records else _CSV_HEAD.strip(",").split(",")
    rows = csv.DictWriter(out, names, lineterminator="\n")
    rows.writeheader()
    for record in records:
        rows.writerow({name: "" if value is None else value for name, value in record.items()})
    return out.getvalue()


def as_json(table: ResultsTable, sets_as: str = "rows") -> str:
    """One JSON object: sets, rule, and one object per run, set and metric."""
    value = {"written_by": "x3 table", **table.to_json()}
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[ResultsTable, str], str]] = {
    "md": markdown,
    "latex": latex,
    "csv": as_csv,
    "json": as_json,
}
"""``--to`` → text of a table."""


def render_table(table: ResultsTable, to: str = "md", sets_as: str = SETS_AS[0]) -> str:
    """The text of a table.

    Args:
        table: see ``table.table``.
        to: ``md``, ``latex``, ``csv`` or ``json``.
        sets_as: ``rows``: sets below each other; ``columns``: a column per set and metric. CSV and JSON have
            one line or object per run, set and metric.

    Raises:
        UserError: ``to`` or ``sets_as`` is none of them.
    """
    check_choices(to, sets_as)
    return FORMATS[to](table, sets_as)


def check_choices(to: str, sets_as: str) -> None:
    """Check the choices of ``render_table``.

    Raises:
        UserError: one of them is unknown.
    """
    for name, value, known in (("to", to, FORMATS), ("sets-as", sets_as, SETS_AS)):
        if value not in known:
            raise UserError(f"--{name} {value}: must be one of {', '.join(known)}")


_SIGN = "Written by x3 table"
_SIGNS = (f"<!-- {_SIGN} -->", f"% {_SIGN}", _CSV_HEAD, '{\n  "written_by": "x3 table"')


def write_table(path: Path, text: str, sources: Iterable[Path] = ()) -> None:
    """Write a table; only an earlier table is replaced.

    Raises:
        UserError: ``path`` holds something else, or cannot be written.
    """
    check_output(path, "--out", sources)
    if path.exists():
        try:
            with open(path, encoding="utf-8", newline="") as file:
                begin = file.read(64)
        except (OSError, UnicodeDecodeError):
            begin = ""
        if not begin.startswith(_SIGNS):
            raise UserError(f"--out {path}: exists and is no table of x3 table; remove it")
    write_text(path, text)


class _Line:
    """A row of one block, with the cells of its columns."""

    def __init__(self, row: Row, columns: Sequence[tuple[int, Metric]], number: int | None) -> None:
        self.row = row
        note = row.notes.get(number) if number is not None else None
        note = note or ("; ".join(row.notes.values()) if number is None else None)
        self.name = row.name + MARKS.get(row.kind, "") + (f" ({note})" if note else "")
        self.cells = [(metric, row.cells.get((s, metric.key))) for s, metric in columns]


class _Block:
    """A table, or a part of one."""

    def __init__(
        self,
        table: ResultsTable,
        title: str,
        columns: Sequence[tuple[int, Metric]],
        heads: Sequence[str],
        number: int | None,
    ) -> None:
        self.title, self.heads = title, list(heads)
        rows = table.rows if number is None else table.rows_of(number)
        self.rows = [_Line(row, columns, number) for row in rows]


def _blocks(table: ResultsTable, sets_as: str, *, one: bool = False) -> list[_Block]:
    """The parts of a table; with ``one`` all have the same columns."""
    if sets_as == "columns":
        columns = _columns(table)
        heads = [f"{table.sets[s].title}: {metric.head}" for s, metric in columns]
        return [_Block(table, "", columns, heads, None)]
    blocks = []
    for number, head in enumerate(table.sets):
        metrics = table.metrics_of(None if one else number)
        columns = [(number, metric) for metric in metrics]
        blocks.append(_Block(table, head.words, columns, [m.head for m in metrics], number))
    return blocks


def _columns(table: ResultsTable) -> list[tuple[int, Metric]]:
    return [(s, metric) for s in range(len(table.sets)) for metric in table.metrics_of(s)]


def _spans(table: ResultsTable) -> list[str]:
    """The head of sets above the head of metrics."""
    spans, rules, start = [""], [], 2
    for number, head in enumerate(table.sets):
        width = len(table.metrics_of(number))
        spans.append(f"\\multicolumn{{{width}}}{{c}}{{{_latex(head.title)}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & ".join(spans) + " \\\\", " ".join(rules)]


_Style = Callable[[str, str, bool], str]
"""Makes a cell of a figure, its bracket, and whether it is bold."""


def _cell(table: ResultsTable, metric: Metric, cell: Cell | None, style: _Style) -> str:
    return style(*table.texts_of(metric, cell), cell is not None and cell.bold)


def _in_markdown(figure: str, bracket: str, bold: bool) -> str:
    text = f"**{figure}**" if bold else figure
    return f"{text} {bracket}".strip()


def _in_latex(figure: str, bracket: str, bold: bool) -> str:
    figure, bracket = _latex(figure), _latex(bracket)
    text = f"\\textbf{{{figure}}}" if bold else figure
    return f"{text} {{\\scriptsize {bracket}}}" if bracket else text


_IN_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~$#]")


def _markdown(text: str) -> str:
    """``text`` as it stands in a cell: no markup, no HTML, one line."""
    line = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _IN_MARKDOWN.sub(lambda found: f"\\{found[0]}", line)


_IN_LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "$": "\\$",
    "&": "\\&",
    "#": "\\#",
    "%": "\\%",
    "_": "\\_",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "†": "\\textdagger{}",
    "–": "--",
    MINUS: "$-$",
}


def _latex(text: str) -> str:
    """``text`` as it stands in a cell: no commands, one line."""
    line = "".join(_IN_LATEX.get(char, char) for char in _one_line(text))
    # After the end of a line these would be its arguments.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
