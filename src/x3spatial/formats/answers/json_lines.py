"""Answers as JSON Lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import (
    AnswerFields,
    AnswersReader,
    AnswerText,
    BadEntry,
    Pairs,
    answer_of,
    plain,
)


class JsonLines(AnswersReader):
    """``{"id": ..., "text": ...}`` per line. A damaged line costs only itself."""

    describes = "JSON Lines"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() in (".jsonl", ".ndjson")

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        for number, line in lines_of(path):
            yield _entry(line, f"line {number}", fields, path)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers from 1.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read this file of answers: {error}") from None


def _entry(line: str, where: str, fields: AnswerFields, path: Path) -> AnswerText | BadEntry:
    try:
        value = plain(json.loads(line, object_pairs_hook=Pairs))
    except RecursionError:
        return BadEntry(where, "nested too deep")
    except ValueError as error:
        return BadEntry(where, f"is not JSON: {error}")
    return answer_of(value, where, fields, path)
