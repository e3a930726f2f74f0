"""The formats of answers that can be read."""

from __future__ import annotations

from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.formats.answers.base import AnswersReader
from x3spatial.formats.answers.inspect_log import InspectArchive, InspectJson
from x3spatial.formats.answers.json_lines import JsonLines
from x3spatial.formats.answers.lmms_eval import LmmsEval
from x3spatial.formats.answers.openai_batch import OpenAIBatch
from x3spatial.formats.answers.plain_json import JsonById, JsonList
from x3spatial.formats.answers.table import Csv
from x3spatial.formats.answers.workbook import Workbook

_HEAD = 1 << 16

READERS: dict[str, AnswersReader] = {
    "openai-batch": OpenAIBatch(),
    "lmms-eval": LmmsEval(),
    "inspect": InspectArchive(),
    "inspect-json": InspectJson(),
    "xlsx": Workbook(),
    "jsonl": JsonLines(),
    "csv": Csv(),
    "json-by-id": JsonById(),
    "json": JsonList(),
}
"""Name → reader. The first one that recognizes a file reads it; special forms stand before general ones."""


def register(name: str, reader: AnswersReader) -> None:
    """Add a reader of another package; it is asked before all others.

    Raises:
        ValueError: the name is taken.
    """
    if name in READERS:
        raise ValueError(f"reader of answers {name}: the name is taken")
    others = dict(READERS)
    READERS.clear()
    READERS.update({name: reader, **others})


def unregister(name: str) -> None:
    """Remove a reader.

    Raises:
        KeyError: there is none of this name.
    """
    del READERS[name]


def reader_of(path: Path) -> AnswersReader:
    """The reader of a file of answers.

    Raises:
        UserError: the file cannot be read, or no reader knows its format.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no regular file; name a file of answers")
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            head = file.read(_HEAD).lstrip()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of answers") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: cannot read this file of answers: {reason}") from None
    for reader in READERS.values():
        if reader.recognizes(path, head):
            return reader
    known = ", ".join(dict.fromkeys(reader.describes for reader in READERS.values()))
    raise UserError(f"{path}: no known form of answers; known are {known}")
