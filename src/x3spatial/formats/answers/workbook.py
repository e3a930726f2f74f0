"""Workbooks of VLMEvalKit: a row per sample, with the columns of the data set and ``prediction``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import (
    MOST_BYTES,
    TEXT_FIELDS,
    AnswerFields,
    AnswersReader,
    AnswerText,
    BadEntry,
    answer_of,
)

_TEXT = "prediction"
_SUFFIX = ".xlsx"


class Workbook(AnswersReader):
    """The first sheet; its ``answer`` is the ground truth and ``prediction`` the model's text."""

    describes = "a workbook of VLMEvalKit (.xlsx)"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() == _SUFFIX and head.startswith("PK")

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        try:
            from openpyxl import load_workbook
        except ImportError:
            raise UserError(
                f"{path}: reading workbooks needs openpyxl: pip install 'x3spatial[logs]'"
            ) from None
        try:
            with zipfile.ZipFile(path) as archive:
                large = [i.filename for i in archive.infolist() if i.file_size > MOST_BYTES]
            if large:
                raise UserError(f"{path}: {large[0]} in it has more than {MOST_BYTES:,} bytes")
            book = load_workbook(path, read_only=True, data_only=True)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: cannot read this workbook: {error}") from None
        try:
            rows = book.worksheets[0].iter_rows(values_only=True)
            names = [None if cell is None else str(cell) for cell in next(rows, ())]
            text = fields.text or next((n for n in (_TEXT, *TEXT_FIELDS) if n in names), None)
            chosen = AnswerFields(fields.id, text)
            for number, row in enumerate(rows, start=2):
                values = {n: v for n, v in zip(names, row, strict=False) if n is not None}
                if all(value is None for value in values.values()):
                    continue
                # An empty cell reads as None, but the model's text was empty then.
                if text is not None and text in values:
                    values[text] = "" if values[text] is None else str(values[text])
                yield answer_of(values, f"row {number}", chosen, path)
        finally:
            book.close()
