"""Answers as a table of text: CSV and TSV with a line of column names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import (
    SIZES_FIELD,
    AnswerFields,
    AnswersReader,
    AnswerText,
    BadEntry,
    answer_of,
)

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST = 1 << 24
"""Characters of a cell; answers with long thoughts pass the 131,072 of the csv module."""


class Csv(AnswersReader):
    """A line per answer. An empty cell is an empty answer, not a missing one."""

    describes = "CSV or TSV"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() in _DELIMITERS

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file, delimiter=_DELIMITERS[path.suffix.lower()], strict=True)
                names = rows.fieldnames or ()
                if len({*names}) < len(names):
                    raise UserError(f"{path}: a column name occurs twice; rename one")
                for row in rows:
                    where = f"line {rows.line_num}"
                    if None in row or None in row.values():
                        yield BadEntry(where, f"does not have {len(names)} cells, as line 1 has")
                        continue
                    row.pop(SIZES_FIELD, None)  # a table cannot hold a list
                    yield answer_of(row, where, fields, path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path}: cannot read this file of answers: {error}") from None
