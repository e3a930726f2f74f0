"""Matching of answers that were made elsewhere with the samples of a task file, by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from x3spatial.conventions.base import Convention
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply, storable
from x3spatial.exporters.points import ResizeLimits, counted_sizes
from x3spatial.formats.answers.base import (
    PARTICIPANT_FIELD,
    SECONDS_FIELD,
    AnswerFields,
    AnswerText,
    BadEntry,
    answer_of,
)
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, probe, read_bytes
from x3spatial.io.members import file_at
from x3spatial.tasks.question import Size
from x3spatial.texts import counted, quoted

_NAMED = 3
_PLURALS = {"entry": "entries"}


@dataclass(frozen=True, slots=True)
class Matched:
    """What of a set of answers belongs to which sample, in the order of the task file or of the answers."""

    replies: Mapping[str, Reply]
    """Sample id → its answer, or the reason why it has none."""
    entries: int
    """Number of answers, whether they could be used or not."""
    missing: tuple[str, ...]
    """Ids of samples without an answer."""
    unknown: tuple[str, ...]
    """``where: id`` of answers to samples that the task file does not have."""
    repeated: tuple[str, ...]
    """Ids that occur more than once. Equal texts count as one answer, different ones as none."""
    unreadable: tuple[str, ...]
    """``where: reason`` of entries that are no answers."""

    def lines(self) -> list[str]:
        """One line per kind of problem, with its count and its first cases."""
        kinds = (
            ("sample", "without an answer", self.missing),
            ("answer", "to ids that the task file does not have", self.unknown),
            ("id", "with more than one answer", self.repeated),
            ("entry", "without an answer in it", self.unreadable),
        )
        return [
            f"{counted(len(found), noun, _PLURALS.get(noun))} {what}: {_named(found)}"
            for noun, what, found in kinds
            if found
        ]

    def to_json(self) -> dict[str, Any]:
        """The ids of each kind as JSON values."""
        return {
            "entries": self.entries,
            "missing": list(self.missing),
            "unknown": list(self.unknown),
            "repeated": list(self.repeated),
            "unreadable": list(self.unreadable),
        }


def _named(found: Sequence[str]) -> str:
    rest = len(found) - _NAMED
    return "; ".join(found[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def entries_of(answers: Mapping[str, Any]) -> Iterator[AnswerText | BadEntry]:
    """The answers of a mapping id → text, None, or an object with the text and ``pixel_sizes``."""
    for id, value in answers.items():
        if value is None or isinstance(value, str):
            yield AnswerText("answers", str(id), value)
        else:
            yield answer_of(value, f"answers[{id!r}]", AnswerFields(), Path("answers"), str(id))


def match_answers(
    records: Sequence[TaskRecord],
    entries: Iterable[AnswerText | BadEntry],
    convention: Convention,
    *,
    limits: ResizeLimits,
) -> Matched:
    """Assign answers to samples by id.

    Args:
        records: the samples, with the paths of their files (see ``ImagePaths.records``).
        entries: the answers, and what could not be read as one.
        convention: how the answers write a point; if it counts pixels and an answer does not give the sizes
            that it counts, those of the images are used.
        limits: resizing of those sizes, for conventions that count resized pixels.

    Raises:
        UserError: no answer belongs to a sample, or an image whose size is needed cannot be read.
    """
    by_id = {record.id: record for record in records}
    found: dict[str, list[AnswerText]] = {}
    unknown: list[str] = []
    unreadable: list[str] = []
    count = 0
    for count, entry in enumerate(entries, start=1):  # noqa: B007
        if isinstance(entry, AnswerText) and entry.position is not None:
            entry = _with_id(entry, records)
        if isinstance(entry, BadEntry):
            unreadable.append(f"{entry.where}: {entry.reason}")
        elif entry.id in by_id:
            found.setdefault(entry.id, []).append(entry)
        else:
            unknown.append(f"{entry.where}: {entry.id}")
    if not found and by_id:
        first = next(iter([*unknown, *unreadable]), "there are no answers")
        raise UserError(
            f"no answer belongs to a sample of the task file ({first}); choose the task file that was asked"
        )
    replies: dict[str, Reply] = {}
    for record in records:
        given = found.get(record.id)
        if given is None:
            replies[record.id] = Reply(None, "no answer in the file of answers")
            continue
        if len({(entry.text, entry.sizes) for entry in given}) > 1:
            where = ", ".join(entry.where for entry in given)
            replies[record.id] = Reply(None, f"{len(given)} different answers ({where})")
            continue
        replies[record.id] = _reply(record, given[0], convention, limits)
    return Matched(
        replies=replies,
        entries=count,
        missing=tuple(id for id, reply in replies.items() if reply.text is None),
        unknown=tuple(unknown),
        repeated=tuple(id for id, given in found.items() if len(given) > 1),
        unreadable=tuple(unreadable),
    )


def _with_id(entry: AnswerText, records: Sequence[TaskRecord]) -> AnswerText | BadEntry:
    """The entry with the id of the sample at its place, if the ground truth agrees."""
    position = entry.position
    assert position is not None
    if position >= len(records):
        return BadEntry(
            entry.where, f"row {position}: the task file has {len(records)} samples, from row 0"
        )
    record = records[position]
    if entry.target is not None and entry.target.strip() != record.answer.strip():
        return BadEntry(
            entry.where,
            f"row {position}: the log's target is {quoted(entry.target)}, the sample's answer"
            f" {quoted(record.answer)}",
        )
    return replace(entry, id=record.id)


def _reply(
    record: TaskRecord,
    entry: AnswerText,
    convention: Convention,
    limits: ResizeLimits,
) -> Reply:
    if entry.text is None:
        return Reply(None, f"{entry.where}: the answer is null")
    try:
        sizes = pixel_sizes(record, convention, entry.sizes, limits)
    except ValueError as error:
        return Reply(None, f"{entry.where}: {error}")
    return Reply(storable(entry.text), sizes=sizes, details=_details(entry))


def _details(entry: AnswerText) -> dict[str, Any]:
    found = {PARTICIPANT_FIELD: entry.participant, SECONDS_FIELD: entry.seconds}
    return {name: value for name, value in found.items() if value is not None}


def pixel_sizes(
    record: TaskRecord,
    convention: Convention,
    given: Sequence[Size],
    limits: ResizeLimits,
) -> tuple[Size, ...]:
    """(W, H) of each image in the pixels that an answer counts; empty if the convention does not use pixels.

    Raises:
        ValueError: there is another number of sizes than of images, or an image cannot be read.
    """
    if convention.pixels is None:
        return ()
    count = len(record.images)
    if given:
        if len(given) != count:
            raise ValueError(f"pixel_sizes has {len(given)} sizes for {count} image(s)")
        return tuple(given)
    sizes = record.image_sizes
    if len(sizes) != count:
        try:
            sizes = tuple(probe(read_bytes(file_at(path))) for path in record.images)
        except ImageError as error:
            raise ValueError(f"the size of an image is needed: {error}") from None
    return counted_sizes(convention, sizes, limits)
