"""Answers as JSON: a list of objects, an object of texts by id, or either with what is true of all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import (
    ID_FIELDS,
    TEXT_FIELDS,
    AnswerFields,
    AnswersReader,
    AnswerText,
    BadEntry,
    Pairs,
    answer_of,
    plain,
)
from x3spatial.io.json_stream import iter_array

_ANSWERS = "answers"
_DECLARED = ("convention", "model")


class JsonList(AnswersReader):
    """``[{"id": ..., "text": ...}, ...]``."""

    describes = "a JSON list of objects"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() not in (".jsonl", ".ndjson") and head.startswith("[")

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        decoder = json.JSONDecoder(object_pairs_hook=Pairs)
        values = iter_array(path, what="file of answers", decoder=decoder)
        for number, value in enumerate(values, start=1):
            yield answer_of(plain(value), f"entry {number}", fields, path)


class JsonById(AnswersReader):
    """``{"id": "text", ...}``, or ``{"convention": ..., "model": ..., "answers": ...}`` with it or a list."""

    describes = "a JSON object of texts by id"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return path.suffix.lower() not in (".jsonl", ".ndjson") and head.startswith("{")

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        pairs, declared = _content(path)
        if declared:
            (answers,) = (value for name, value in pairs if name == _ANSWERS)
            if isinstance(answers, list):
                for number, value in enumerate(answers, start=1):
                    yield answer_of(plain(value), f"entry {number} of {_ANSWERS!r}", fields, path)
                return
            if not isinstance(answers, Pairs):
                raise UserError(
                    f"{path}: field {_ANSWERS!r} is neither a list nor an object of texts by id"
                )
            pairs = answers
        names = {name for name, _ in pairs}
        if names & set(ID_FIELDS) and names & set(TEXT_FIELDS):
            raise UserError(
                f"{path}: looks like one answer of several lines; name the file .jsonl if it has one"
                " object per line, or write a list"
            )
        for number, (id, value) in enumerate(pairs, start=1):
            where = f"entry {number}"
            if value is None or isinstance(value, str):
                yield AnswerText(where, id, value)
            else:
                yield answer_of(plain(value), where, fields, path, id)

    def declares(self, path: Path) -> Mapping[str, str]:
        """See ``AnswersReader.declares``."""
        pairs, declared = _content(path)
        values = {name: value for name, value in pairs if declared and name in _DECLARED}
        for name, value in values.items():
            if not isinstance(value, str):
                raise UserError(f"{path}: field {name!r} is not a text")
        return values


@lru_cache(maxsize=1)
def _content_of(path: Path, state: tuple[int, int]) -> Pairs:
    try:
        with open(path, encoding="utf-8-sig") as file:
            found = json.load(file, object_pairs_hook=Pairs)
    except RecursionError:
        raise UserError(f"{path}: cannot read this file of answers: nested too deep") from None
    except (OSError, ValueError) as error:
        hint = ""
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            hint = "; name it .jsonl if it has one object per line"
        raise UserError(f"{path}: cannot read this file of answers: {error}{hint}") from None
    if not isinstance(found, Pairs):
        raise UserError(f"{path}: expected a JSON object of texts by id")
    return found


def _content(path: Path) -> tuple[Pairs, bool]:
    """The pairs of the file's object, and whether the answers stand in its field ``answers``."""
    stat = path.stat()
    pairs = _content_of(path, (stat.st_size, stat.st_mtime_ns))
    names = [name for name, _ in pairs]
    if names.count(_ANSWERS) > 1:
        raise UserError(f"{path}: field {_ANSWERS!r} occurs twice")
    declared = _ANSWERS in names and {*names} <= {_ANSWERS, *_DECLARED}
    return pairs, declared
