"""Answers that people gave: those of pages of ``x3 ask``, and files with the answers of several persons."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.errors import UserError
from x3spatial.evaluation.options import AnswersOptions
from x3spatial.formats.answers.base import AnswerFields, AnswerText, BadEntry
from x3spatial.formats.answers.registry import reader_of
from x3spatial.formats.sample_tokens import PREFIX, SampleTokens
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_file
from x3spatial.texts import counted

KIND = "people"
"""``ModelInfo.kind`` of answers that people gave."""
PAGE_CONVENTION = "unit"
"""How pages of ``x3 ask`` write points."""
_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".json")

Entry = AnswerText | BadEntry


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers of one person or model to one task file."""

    entries: tuple[Entry, ...]
    participant: str | None
    """None: the answers name nobody."""
    asked: frozenset[str] | None
    """Ids of the samples on a page of ``x3 ask``, which may be fewer than those of the task file; None for
    answers that come from elsewhere."""

    @property
    def seconds(self) -> float | None:
        """The median time per answer; None without times."""
        times = [
            entry.seconds
            for entry in self.entries
            if isinstance(entry, AnswerText)
            and entry.text is not None
            and entry.seconds is not None
        ]
        return round(float(np.median(times)), 3) if times else None


def files_of(path: Path) -> list[Path]:
    """The files of answers: ``path`` itself, or those in it if it is a folder.

    Raises:
        UserError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    )
    if not found:
        raise UserError(f"{path}: no files of answers there ({', '.join(_SUFFIXES)})")
    return found


def read_files(path: Path, fields: AnswerFields) -> tuple[list[Entry], dict[str, str]]:
    """All entries of a file or folder, and what it declares of them.

    Raises:
        UserError: a file cannot be read, or two of them declare different things.
    """
    files = files_of(path)
    entries: list[Entry] = []
    declared: dict[str, str] = {}
    for file in files:
        reader = reader_of(file)
        for name, value in reader.declares(file).items():
            if declared.setdefault(name, value) != value:
                raise UserError(f"{file}: declares the {name} {value!r}, others {declared[name]!r}")
        where = f"{file.name}, " if len(files) > 1 else ""
        read = reader.read(file, fields)
        entries += [replace(e, where=where + e.where) for e in read] if where else read
    return entries, declared


def named_in(path: Path, options: AnswersOptions) -> list[str]:
    """The persons whom a file or folder of answers names.

    Raises:
        UserError: see ``read_files``.
    """
    entries, _ = read_files(path, AnswerFields(options.id_field, options.text_field))
    return participants_of(entries)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and hashes of the files in a folder."""
    if not path.is_dir():
        return sha256_file(path)
    lines = "".join(f"{file.name} {sha256_file(file)}\n" for file in files_of(path))
    return hashlib.sha256(lines.encode()).hexdigest()


def participants_of(entries: Iterable[Entry]) -> list[str]:
    """The persons who are named, in the order of their first answers."""
    named = (entry.participant for entry in entries if isinstance(entry, AnswerText))
    return list(dict.fromkeys(name for name in named if name is not None))


def answered_by(
    entries: Sequence[Entry], records: Sequence[TaskRecord], participant: str | None
) -> Answered:
    """The answers of one person, with the ids of the samples in place of tokens.

    Args:
        entries: the answers.
        records: all records of the task file.
        participant: whose answers; None if there is only one person, or nobody is named.

    Raises:
        UserError: nobody has this name, or several persons are named and ``participant`` is None.
    """
    named = participants_of(entries)
    if participant is None and len(named) > 1:
        raise UserError(
            f"the answers are those of {counted(len(named), 'person', 'persons')} ({_some(named)}): name one"
            " with --participant, or name a folder with -o for a results file of each"
        )
    if participant is not None and participant not in named:
        raise UserError(f"--participant {participant}: the answers name {_some(named) or 'nobody'}")
    person = participant or next(iter(named), None)
    own = [entry for entry in entries if isinstance(entry, BadEntry) or _is_of(entry, participant)]
    tokens = [entry for entry in own if isinstance(entry, AnswerText) and _is_token(entry)]
    if not tokens:
        return Answered(tuple(own), person, None)
    ids = SampleTokens(records).ids(records)
    own = [
        replace(entry, id=ids.get(entry.id, entry.id)) if isinstance(entry, AnswerText) else entry
        for entry in own
    ]
    known = {record.id for record in records}
    asked = {entry.id for entry in own if isinstance(entry, AnswerText)} & known
    return Answered(tuple(own), person, frozenset(asked))


def _is_of(entry: AnswerText, participant: str | None) -> bool:
    return participant is None or entry.participant == participant


def _is_token(entry: AnswerText) -> bool:
    return entry.id.startswith(PREFIX)


def check_convention(
    entries: Iterable[Entry], chosen: str | None, declared: Mapping[str, str]
) -> dict[str, str]:
    """``declared``, with the convention of pages of ``x3 ask`` for answers that come from one.

    Raises:
        UserError: another convention was chosen for them.
    """
    known = dict(declared)
    if not any(isinstance(entry, AnswerText) and _is_token(entry) for entry in entries):
        return known
    if chosen is not None and chosen != PAGE_CONVENTION:
        raise UserError(
            f"--convention {chosen}: pages of x3 ask write {PAGE_CONVENTION!r}; leave it out"
        )
    known.setdefault("convention", PAGE_CONVENTION)
    return known


def folder_name(participant: str) -> str:
    """A person's name as the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", participant).strip("._") or "person"


def folders_of(participants: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(participant, folder) with different folders for all of them, in any case of letters."""
    taken: set[str] = set()
    for participant in participants:
        name = base = folder_name(participant)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        yield participant, name


def description(answered: Answered) -> dict[str, Any]:
    """What a results file says of a person."""
    if answered.participant is None:
        return {}
    return {"participant": answered.participant, "median_seconds": answered.seconds}


def _some(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
